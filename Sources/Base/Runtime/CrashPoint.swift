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
  /// A copy has read its first piece, nothing of it is committed.
  case copyFirstPiece = "copy.first-piece"
  /// A copy is committed, its answer has not left.
  case copyCommitted = "copy.committed"
  /// An abort has found its upload, it has not begun to commit.
  case abortBeforeCommit = "abort.before-commit"
  /// An abort is committed, its answer has not left.
  case abortCommitted = "abort.committed"
  /// Some keys of a DeleteObjects are deleted, the others are not.
  case deleteObjectsPartly = "delete-objects.partly"
  /// All keys of a DeleteObjects are deleted, its answer has not left.
  case deleteObjectsCommitted = "delete-objects.committed"
  /// Chunks of a fenced epoch are deleted, the epoch does not count as swept.
  case sweepChunksDeleted = "sweep.chunks-deleted"
  /// Every store was swept, the epoch does not count as swept.
  case sweepStoresDone = "sweep.stores-done"
  /// An epoch counts as swept.
  case sweepMarked = "sweep.marked"
  /// The object of an abandoned upload is deleted, its session has not failed yet.
  case uploadCleanupDeleted = "upload-cleanup.deleted"
  /// Records of a sparse volume are durable elsewhere, the volume is there.
  case compactionRewritten = "compaction.rewritten"
  /// A volume without live records has lost its name, the directory is not durable.
  case compactionVolumeDeleted = "compaction.volume-deleted"
  /// A volume without live records is gone.
  case compactionRetired = "compaction.retired"
  /// The next master key is durable beside the old one, nothing is wrapped by it.
  case rotationKeyWritten = "rotation.key-written"
  /// The keys are wrapped by the next master key, the stores do not know it yet.
  case rotationCommitted = "rotation.committed"
  /// The stores know the keys as the next master key wraps them, its file is still the next one.
  case rotationPublished = "rotation.published"
  /// The file of the master key is the next one, the directory is not durable.
  case rotationRenamed = "rotation.renamed"
  /// A directory is made, its name is not durable.
  case directoryMade = "directory.made"
  /// A file has its new content under its name, the name is not durable.
  case fileRenamed = "file.renamed"
  /// A store is whole under its name, the name is not durable.
  case storeNamed = "store.named"
  /// A first start has its master key, nothing is wrapped by it.
  case startKeyWritten = "start.key-written"
  /// A first start has made a store, the others are not there.
  case startStoreMade = "start.store-made"
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
