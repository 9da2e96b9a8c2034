public import Metadata
public import Telemetry

/// Fences writers whose lease ran out, so that what they left unnamed can be swept.
public final class WriterReclaimWorker: BackgroundWorker {
  /// `writer-reclaim`.
  public let name = "writer-reclaim"
  private let metadata: any WriterLeaseStore
  private let interval: Duration
  private let log: Log
  private let count = ProgressCell()

  /// Looks every `interval` at the writers in `metadata`.
  public init(metadata: any WriterLeaseStore, interval: Duration = .seconds(5), log: Log) {
    self.metadata = metadata
    self.interval = interval
    self.log = log.named("writer-reclaim")
  }

  /// Items are writers fenced.
  public var progress: WorkerProgress { count.value }

  /// Looks once.
  public func step() async throws -> StepOutcome {
    let epochs = try await metadata.fenceExpiredWriters()
    for epoch in epochs {
      log.warning("a writer is gone; what it left is swept", [("epoch", "\(epoch)")])
    }
    count.add(epochs.count)
    return .idle(nextAfter: interval)
  }
}
