public import Base

/// What a scrub has found, while it runs and afterwards.
public struct ScrubReport: Hashable, Sendable {
  /// How far it is.
  public enum State: Hashable, Sendable {
    /// None was asked for since the process started.
    case none
    /// It was asked for or runs.
    case running
    /// It came to its end.
    case finished
    /// It did not; why.
    case failed(String)
  }

  /// How far it is.
  public var state: State = .none
  /// When it began.
  public var started: Timestamp?
  /// When it ended; nil while it runs.
  public var finished: Timestamp?
  /// Extents that there were when it began.
  public var totalExtents = 0
  /// Extents whose chunks were looked at.
  public var extents = 0
  /// Chunks that were verified and found good, before any repair.
  public var goodChunks = 0
  /// Bytes of data of those.
  public var bytes = 0
  /// Chunks that their store does not have.
  public var missing = 0
  /// Chunks that are not what was written or cannot be read.
  public var corrupt = 0
  /// Chunks of stores that do not answer.
  public var unreachable = 0
  /// Chunks that were made again.
  public var repaired = 0
  /// Bad chunks that could not be made again yet: they stay queued.
  public var unrepaired = 0
  /// Extents with fewer good chunks than are needed to read them. Nothing of them is deleted.
  public var unreadableExtents = 0
  /// Objects kept in the metadata that were opened.
  public var inlineObjects = 0
  /// Those that do not open under their key.
  public var corruptInlineObjects = 0

  /// The report of no scrub.
  public init() {}

  /// Chunks that were looked for.
  public var chunks: Int { goodChunks + missing + corrupt + unreachable }

  /// Whether everything that was looked at is whole now.
  public var isClean: Bool {
    unrepaired == 0 && unreachable == 0 && unreadableExtents == 0 && corruptInlineObjects == 0
  }
}
