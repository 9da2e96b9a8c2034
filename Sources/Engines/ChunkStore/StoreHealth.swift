/// How a store is.
public struct StoreHealth: Hashable, Sendable {
  /// What a store can do.
  public enum State: String, Hashable, Sendable {
    /// Reads and writes.
    case active
    /// Reads and deletes; the reserve is all that is free.
    case full
    /// Reads only, for the rest of this process's life.
    case fenced
    /// Nothing.
    case offline
  }

  /// What it can do now.
  public var state: State
  /// Why it is not active; empty when it is. For operators; names no path.
  public var reason: String
  /// Bytes of the file system, or 0 when offline.
  public var capacity: Int
  /// Bytes in use in the file system, whoever uses them.
  public var used: Int
  /// Bytes that an unprivileged process may still write.
  public var free: Int
  /// Free bytes at which writes stop.
  public var reserve: Int
  /// Chunks that the store keeps.
  public var chunkCount: Int

  /// Makes a health record.
  public init(
    state: State, reason: String, capacity: Int, used: Int, free: Int, reserve: Int,
    chunkCount: Int
  ) {
    self.state = state
    self.reason = reason
    self.capacity = capacity
    self.used = used
    self.free = free
    self.reserve = reserve
    self.chunkCount = chunkCount
  }
}
