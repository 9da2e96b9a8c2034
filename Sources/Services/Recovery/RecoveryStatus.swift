public import Base
public import Metadata

/// How well the metadata is kept in the stores, for an operator.
public struct RecoveryStatus: Hashable, Sendable {
  /// The change log.
  public var log: ChangeLogStatus
  /// Transactions that are committed and not known to be in the log; a few while requests run.
  public var pendingChanges: Int64
  /// Snapshots in the stores, oldest first, unfinished ones included.
  public var snapshots: [StoredSnapshot]
  /// Whether a rebuild would bring back every acknowledged change: a log is in force and goes on
  /// from a complete snapshot.
  public var isLogInForce: Bool
  /// Extents in quarantine.
  public var quarantined: Int64
  /// Stores that have the wrapped keys, of all.
  public var keyCopies: Int
  /// Why the last snapshot failed; nil when it did not.
  public var lastSnapshotError: String?

  /// One line: what would be lost with the database now.
  public func summary(now: Timestamp) -> String {
    guard let last = snapshots.last(where: \.isComplete) else {
      return "there is no snapshot of the metadata in the stores: the database is the only copy"
    }
    let age = max(0, (now.milliseconds - last.finished.milliseconds) / 60_000)
    if isLogInForce {
      if let warning = log.warning {
        return "every acknowledged change is in the change log, in fewer stores than it should be: "
          + warning
      }
      return "every acknowledged change is in the change log"
    }
    return "what was written in the last \(age) min would be lost with the database: no change log"
  }
}
