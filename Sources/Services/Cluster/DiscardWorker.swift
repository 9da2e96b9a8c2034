public import ObjectEngine

/// Makes tombstones of what failed writes of this process left, where that could not be recorded at
/// once: the database was away, or did not tell what became of a commit.
public final class DiscardWorker: BackgroundWorker {
  /// Extents of one step.
  static let batch = 256

  /// `discards`.
  public let name = "discards"
  private let engine: ObjectEngine
  private let hold: DeletionHold
  private let interval: Duration
  private let count = ProgressCell()

  /// Looks every `interval` at what `engine` has to make up, unless `hold` is in force.
  public init(
    engine: ObjectEngine, hold: DeletionHold? = nil, interval: Duration = .seconds(5)
  ) {
    self.engine = engine
    self.hold = hold ?? DeletionHold(metadata: engine.metadata)
    self.interval = interval
  }

  /// Items are extents.
  public var progress: WorkerProgress { count.value }

  /// Records one batch.
  public func step() async throws -> StepOutcome {
    guard engine.hasUnnamedExtents else { return .idle(nextAfter: interval) }
    guard try await !hold.isInForce() else {
      count.add(0, detail: "held")
      return .idle(nextAfter: interval)
    }
    let recorded = try await engine.discardRemaining(limit: Self.batch)
    count.add(recorded, detail: engine.hasUnnamedExtents ? "waiting" : "")
    return recorded == Self.batch ? .busy : .idle(nextAfter: interval)
  }
}
