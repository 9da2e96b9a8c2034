import Base
import Glibc
import Synchronization

/// A named step of a write path at which a test may kill the process.
///
/// In a debug build the environment `S3STORAGE_CRASH_AT=<step>[:n]` makes the process kill itself
/// the n-th time that it reaches that step, as a power cut of the process would. In a release
/// build `reach` does nothing.
public enum CrashPoint: String, CaseIterable, Sendable {
  /// A PUT's chunks are durable, its commit has not begun.
  case putChunksWritten = "put.chunks-written"
  /// A PUT is committed, its answer has not left.
  case putCommitted = "put.committed"
  /// A part's chunks are durable, its commit has not begun.
  case partChunksWritten = "part.chunks-written"
  /// A part is committed, its answer has not left.
  case partCommitted = "part.committed"
  /// A Complete has checked its parts, its commit has not begun.
  case completeBeforeCommit = "complete.before-commit"
  /// A Complete is committed, its answer has not left.
  case completeCommitted = "complete.committed"
  /// A delete has not begun to commit.
  case deleteBeforeCommit = "delete.before-commit"
  /// A delete is committed, its answer has not left.
  case deleteCommitted = "delete.committed"
  /// Chunks of a tombstone are deleted, the tombstone is still there.
  case cleanupChunksDeleted = "cleanup.chunks-deleted"
  /// A tombstone is confirmed.
  case cleanupConfirmed = "cleanup.confirmed"
  /// A chunk was made again, its row does not say so yet.
  case repairChunkWritten = "repair.chunk-written"
  /// An extent's stripes are on their way: the first is stored, the last is not.
  case putFirstStripe = "put.first-stripe"
  /// Changes are committed in the database, nothing of them is in the change log.
  case logSealed = "log.sealed"
  /// Changes are in the change log, nobody was answered.
  case logWritten = "log.written"
  /// A part of a snapshot is durable, nothing names it yet.
  case snapshotPartWritten = "snapshot.part-written"

  #if DEBUG
    private static let target: (step: String, count: Int) = {
      let text = ProcessEnvironment.variables["S3STORAGE_CRASH_AT"] ?? ""
      let parts = text.split(separator: ":")
      return (String(parts.first ?? ""), parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    }()
    private static let reached = Atomic<Int>(0)
  #endif

  /// Says that the process is at `step`.
  @inline(__always)
  public static func reach(_ step: CrashPoint) {
    #if DEBUG
      guard target.step == step.rawValue else { return }
      if reached.wrappingAdd(1, ordering: .relaxed).newValue == target.count {
        kill(getpid(), SIGKILL)
      }
    #endif
  }
}
