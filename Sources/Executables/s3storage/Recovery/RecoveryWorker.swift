import Cluster
import Recovery
import Synchronization

/// The background work of recovery, as workers of the supervisor.
final class RecoveryWorker: BackgroundWorker {
  let name: String
  private let work: @Sendable () async throws -> Duration
  private let count = Mutex(0)

  private init(_ name: String, _ work: @escaping @Sendable () async throws -> Duration) {
    self.name = name
    self.work = work
  }

  /// The log's, which every process runs.
  static func own(_ recovery: MetadataRecovery) -> [any BackgroundWorker] {
    [RecoveryWorker("change-log") { try await recovery.stepLog() }]
  }

  /// The snapshots', which one process runs.
  static func led(_ recovery: MetadataRecovery) -> [any BackgroundWorker] {
    [RecoveryWorker("snapshots") { try await recovery.stepSnapshots() }]
  }

  /// Items are steps done.
  var progress: WorkerProgress { WorkerProgress(itemsDone: count.withLock { $0 }) }

  func step() async throws -> StepOutcome {
    let delay = try await work()
    count.withLock { $0 += 1 }
    return .idle(nextAfter: delay)
  }
}
