import Metadata
import ObjectEngine
import Telemetry

/// Works through the queue of extents with lost or bad chunks, those with the fewest survivors
/// first, one at a time.
public final class RepairWorker: BackgroundWorker {
  /// `repair`.
  public let name = "repair"
  /// The part of the time that it works.
  public let dutyCycle: Double
  private let metadata: any MaintenanceStore
  private let repairer: ExtentRepairer
  private let interval: Duration
  private let count = ProgressCell()

  /// Repairs by `repairer`, which the scrub shares.
  public init(
    repairer: ExtentRepairer, interval: Duration = .seconds(10), dutyCycle: Double = 0.5
  ) {
    self.repairer = repairer
    metadata = repairer.engine.metadata
    self.interval = interval
    self.dutyCycle = dutyCycle
  }

  /// Items are chunks made again.
  public var progress: WorkerProgress { count.value }

  /// Repairs one extent. What does not come about waits, each time longer; nothing is given up.
  public func step() async throws -> StepOutcome {
    guard let item = try await metadata.repairs(limit: 1).first else {
      count.add(0, detail: "")
      return .idle(nextAfter: interval)
    }
    let id = item.extent.id
    switch try await repairer.repair(id, chunks: item.chunks) {
    case .repaired(let chunks):
      count.add(chunks.nonzeroBitCount)
    case .incomplete(let chunks, let reason):
      count.add(chunks.nonzeroBitCount, detail: reason)
      try await metadata.postponeRepair(id, reason: reason)
    case .gone, .superseded:
      break
    case .unreadable(let available, let needed):
      let reason = "\(available) of \(needed) chunks can be read"
      count.add(0, detail: reason)
      repairer.log.error(
        "an extent has too few chunks; nothing is deleted",
        [("extent", "\(id)"), ("available", "\(available)"), ("needed", "\(needed)")])
      try await metadata.postponeRepair(id, reason: reason)
    case .refused(let reason):
      count.add(0, detail: reason)
      try await metadata.postponeRepair(id, reason: reason)
    case .busy:
      try await metadata.postponeRepair(id, reason: "repaired by a scrub")
    }
    return .throttled
  }
}
