import Metadata
public import ObjectEngine

/// Keeps this process's writer alive and tells the metadata the oldest read that runs.
public final class WriterLeaseWorker: BackgroundWorker {
  /// `writer-lease`.
  public let name = "writer-lease"
  private let engine: ObjectEngine
  private let interval: Duration
  private let count = ProgressCell()

  /// Renews the lease of `engine`'s writer.
  public init(engine: ObjectEngine, interval: Duration = .seconds(10)) {
    self.engine = engine
    self.interval = interval
  }

  /// Items are renewals.
  public var progress: WorkerProgress { count.value }

  /// Renews once. Throws `MetadataError.fenced` when the writer has lost its lease.
  public func step() async throws -> StepOutcome {
    try await engine.metadata.renewWriter(oldestRead: engine.reads.oldest)
    count.add(1)
    return .idle(nextAfter: interval)
  }
}
