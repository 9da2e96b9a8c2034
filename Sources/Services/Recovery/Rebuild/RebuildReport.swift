public import Base

/// What a rebuild of the metadata came to.
public struct RebuildReport: Hashable, Sendable {
  /// The snapshot that it began with.
  public var snapshot: UInt32 = 0
  /// When that was begun.
  public var snapshotTime = Timestamp(milliseconds: 0)
  /// Rows that came out of it.
  public var rows = 0
  /// Newer snapshots that could not be read.
  public var unreadableSnapshots: [UInt32] = []
  /// Transactions of the change log that were applied.
  public var transactions = 0
  /// The number of the last of them, or of the snapshot's floor.
  public var position: Int64 = 0
  /// Pieces of the log that no copy gives; what is in them alone is lost.
  public var unreadablePieces = 0
  /// Groups of the log of which a fragment is not there: they were never acknowledged, or their
  /// stores are lost.
  public var tornGroups = 0
  /// Stores that could not be listed.
  public var unlistedStores = 0
  /// What the look at all chunks afterwards came to.
  public var reconciliation = ReconcileReport()

  /// Nothing yet.
  public init() {}
}

/// What a comparison of the stores with the metadata came to.
public struct ReconcileReport: Hashable, Sendable {
  /// Chunks that were looked at.
  public var chunks = 0
  /// Extents that nothing names and that are quarantined now, or were before.
  public var quarantined = 0
  /// Chunks that lay elsewhere than the metadata said, which says so now.
  public var moved = 0
  /// Chunks that are not where they should be and are queued for repair.
  public var missing = 0
  /// Extents that were looked at.
  public var extents = 0
  /// Stores that did not answer: what they hold is not known.
  public var absentStores = 0
  /// Whether all stores were looked at to their end.
  public var isComplete: Bool { absentStores == 0 }

  /// Nothing yet.
  public init() {}
}

/// Why the metadata cannot be made again.
public enum RebuildError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No store has the wrapped keys.
  case noKeys
  /// The stores have keys, and this master key opens none of them.
  case wrongMasterKey
  /// No snapshot is there, or none that can be read; why.
  case noSnapshot(String)

  /// One line for an operator.
  public var description: String {
    switch self {
    case .noKeys: "none of the stores that were given has the keys of this installation"
    case .wrongMasterKey: "the master key is not the one that this installation is sealed with"
    case .noSnapshot(let reason): "no snapshot of the metadata can be read: \(reason)"
    }
  }
}
