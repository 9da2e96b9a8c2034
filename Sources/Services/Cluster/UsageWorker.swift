public import Metadata

/// Folds what writes noted of their buckets' usage into totals.
public final class UsageWorker: BackgroundWorker {
  /// `usage`.
  public let name = "usage"
  private let metadata: any MaintenanceStore
  private let interval: Duration
  private let count = ProgressCell()
  /// Deltas folded by one step.
  static let batch = 2000

  /// Folds the deltas of `metadata`.
  public init(metadata: any MaintenanceStore, interval: Duration = .seconds(5)) {
    self.metadata = metadata
    self.interval = interval
  }

  /// Items are deltas.
  public var progress: WorkerProgress { count.value }

  /// Folds one batch.
  public func step() async throws -> StepOutcome {
    let folded = try await metadata.foldUsage(limit: Self.batch)
    count.add(folded)
    return folded >= Self.batch ? .busy : .idle(nextAfter: interval)
  }
}
