import ObjectEngine
import Metadata
import Synchronization

/// A worker of which one process runs at a time.
///
/// Its steps run with the lease as `WorkLease.current`, so that nothing that it does after another
/// process took over is recorded.
public final class LedWorker: BackgroundWorker {
  /// How soon it is looked again whether this process leads.
  static let patience: Duration = .seconds(2)

  private let worker: any BackgroundWorker
  private let leadership: Leadership
  private let term = Mutex<Int64?>(nil)
  private let isWaiting = Mutex(false)

  /// Runs `worker` while this process leads.
  public init(_ worker: any BackgroundWorker, leadership: Leadership) {
    self.worker = worker
    self.leadership = leadership
  }

  /// The worker's.
  public var name: String { worker.name }
  /// The worker's.
  public var dutyCycle: Double { worker.dutyCycle }
  /// The worker's.
  public var maximumLanes: Int { worker.maximumLanes }
  /// The worker's.
  public var lanes: Int { worker.lanes }
  /// The worker's.
  public var longestDelay: Duration { worker.longestDelay }

  /// The worker's, or that another process runs it.
  public var progress: WorkerProgress {
    var progress = worker.progress
    if isWaiting.withLock({ $0 }) { progress.detail = "another gateway leads" }
    return progress
  }

  /// One step of the worker, if this process leads.
  public func step() async throws -> StepOutcome {
    guard let lease = leadership.lease else {
      isWaiting.withLock { $0 = true }
      return try await worker.stepWithoutLead() ?? .idle(nextAfter: Self.patience)
    }
    isWaiting.withLock { $0 = false }
    let isNew = term.withLock { term in
      defer { term = lease.fence }
      return term != lease.fence
    }
    if isNew { worker.beginTerm() }
    return try await lease.lead { try await worker.step() }
  }
}
