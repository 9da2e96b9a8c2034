/// Why a store does not do what it was asked. No message names a path or a user's data.
public enum ChunkStoreError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The store has no such chunk.
  case missing
  /// The chunk is there and not what was written: to be made again from its siblings.
  case corrupt(String)
  /// The store cannot be reached or is not the one that was expected: neither reads nor writes.
  case offline(String)
  /// The free space has shrunk to the reserve: no writes until some is freed; deletes go on.
  case full
  /// The store takes no more writes in this process's life, since a write or sync failed or the
  /// file system turned read-only. Reads go on.
  case fenced(String)
  /// Something exceeds the bounds of the format (`ChunkLimits`) or contradicts itself.
  case tooLarge(String)
  /// An operation failed in a way that says nothing about the store as a whole.
  case io(String)

  /// One line for a log.
  public var description: String {
    switch self {
    case .missing: "the store has no such chunk"
    case .corrupt(let reason): "corrupt chunk: \(reason)"
    case .offline(let reason): "store offline: \(reason)"
    case .full: "store full"
    case .fenced(let reason): "store takes no writes: \(reason)"
    case .tooLarge(let reason): "outside the format's bounds: \(reason)"
    case .io(let reason): "input or output failed: \(reason)"
    }
  }
}
