import Cluster
import Recovery

/// The background work of recovery as gateways run it: the log's in each, the snapshots' in one.
struct SimulatedRecoveryWorker: BackgroundWorker {
  let name: String
  let work: @Sendable () async throws -> Duration
  let progress = WorkerProgress()

  static func own(_ recovery: MetadataRecovery) -> [any BackgroundWorker] {
    [SimulatedRecoveryWorker(name: "change-log") { try await recovery.stepLog() }]
  }

  static func led(_ recovery: MetadataRecovery) -> [any BackgroundWorker] {
    [SimulatedRecoveryWorker(name: "snapshots") { try await recovery.stepSnapshots() }]
  }

  func step() async throws -> StepOutcome { .idle(nextAfter: try await work()) }
}
