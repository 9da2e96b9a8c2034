import Base
import Metadata
import ObjectEngine
import Placement
import Runtime
import Telemetry

/// Works through the queue of extents with lost or bad chunks, those with the fewest survivors
/// first. What bears no further loss is repaired without a rest, and small extents of that kind side
/// by side.
///
/// Others are repaired one at a time in each lane, of which there is one for each k + m servers, as
/// many as one repair asks for something: a server has no more of it in a large installation. Small
/// ones are recorded together.
public final class RepairWorker: BackgroundWorker {
  /// Items read from the queue at once for each lane: others may work on the first.
  static let pageSize = 16
  /// Small extents that bear no further loss which are repaired side by side: they share syncs and
  /// commits. And others that are recorded together.
  static let breadth = 16
  /// How soon an extent is looked at again that another task is at work on.
  static let shortRest = Duration.seconds(1)

  /// `repair`.
  public let name = "repair"
  /// The part of the time that it works on extents that bear a further loss.
  public let dutyCycle: Double
  private let extentLanes: ExtentLanes
  private let metadata: any MaintenanceStore
  private let repairer: ExtentRepairer
  private let interval: Duration
  private let count = ProgressCell()

  /// Repairs by `repairer`, which the scrub shares, in so many lanes; in one where none are given.
  public init(
    repairer: ExtentRepairer, interval: Duration = .seconds(10), dutyCycle: Double = 0.5,
    lanes: ExtentLanes? = nil
  ) {
    extentLanes = lanes ?? ExtentLanes(stores: repairer.engine.stores)
    self.repairer = repairer
    metadata = repairer.engine.metadata
    self.interval = interval
    self.dutyCycle = dutyCycle
  }

  /// The most steps at a time.
  public var maximumLanes: Int { extentLanes.maximum }
  /// As many as the servers by now.
  public var lanes: Int { extentLanes.count }

  /// Items are chunks made again.
  public var progress: WorkerProgress { count.value }

  /// Repairs one extent, or several small ones. What does not come about waits, each time longer;
  /// nothing is given up.
  public func step() async throws -> StepOutcome {
    let items = try await metadata.repairs(limit: Self.pageSize * lanes)
    guard !items.isEmpty else {
      count.add(0, detail: "")
      return .idle(nextAfter: interval)
    }
    var rest = items[...]
    while let first = rest.first {
      let group = Self.group(rest)
      rest = rest.dropFirst(group.count)
      let isUrgent = Self.isUrgent(first)
      let isDone =
        isUrgent
        ? try await DutyCycle.$current.withValue(nil) { try await repairSideBySide(group) }
        : try await repair(group)
      if isDone { return isUrgent ? .busy : .throttled }
    }
    return .idle(nextAfter: min(interval, Self.shortRest))
  }

  /// What is repaired together: the first, and where it is small, small ones behind it that are as
  /// urgent.
  private static func group(_ items: ArraySlice<RepairItem>) -> ArraySlice<RepairItem> {
    guard let first = items.first, isSmall(first) else { return items.prefix(1) }
    let isUrgent = isUrgent(first)
    return items.prefix(breadth).prefix { Self.isUrgent($0) == isUrgent && isSmall($0) }
  }

  /// Whether its chunks come and go in one message each, so that a repair is little but waiting.
  private static func isSmall(_ item: RepairItem) -> Bool {
    (try? ObjectEngine.geometry(of: item.extent))?.hasSmallChunks ?? false
  }

  /// Repairs side by side, each to its end; false when others are at work on all of them. Throws
  /// what one of them threw.
  private func repairSideBySide(_ items: ArraySlice<RepairItem>) async throws -> Bool {
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for item in items {
        group.addTask { try await self.repair([item]) }
      }
      var isDone = false
      var failure: (any Error)?
      while let result = await group.nextResult() {
        switch result {
        case .success(let wasFree): isDone = isDone || wasFree
        case .failure(let error): failure = error
        }
      }
      if let failure { throw failure }
      return isDone
    }
  }

  /// Repairs one after the other; false when a scrub, a move or another lane is at all of them: that
  /// says nothing of whether a repair would come about.
  private func repair(_ items: ArraySlice<RepairItem>) async throws -> Bool {
    let ring = repairer.engine.stores.ringVersion
    let results = try await repairer.repair(items.map { ($0.extent.id, $0.chunks) })
    for (item, outcome) in zip(items, results.outcomes) {
      try await note(outcome, of: item.extent.id, begunWith: ring)
    }
    if let failure = results.failure { throw failure }
    return !results.outcomes.allSatisfy { $0 == .busy }
  }

  /// Whether one more chunk that is lost is content that is lost.
  private static func isUrgent(_ item: RepairItem) -> Bool {
    item.chunks.nonzeroBitCount >= item.extent.parityCount
  }

  private func note(
    _ outcome: RepairOutcome, of id: ExtentID, begunWith ring: Int64
  ) async throws {
    switch outcome {
    case .repaired(let chunks):
      count.add(chunks.nonzeroBitCount)
    case .incomplete(let chunks, let reason):
      count.add(chunks.nonzeroBitCount, detail: reason)
      try await postpone(id, reason, ring)
    case .unreadable(let available, let needed):
      let reason = "\(available) of \(needed) chunks can be read"
      count.add(0, detail: reason)
      repairer.log.error(
        "an extent has too few chunks; nothing is deleted",
        [("extent", "\(id)"), ("available", "\(available)"), ("needed", "\(needed)")])
      try await postpone(id, reason, ring)
    case .refused(let reason):
      count.add(0, detail: reason)
      try await metadata.postponeRepair(id, reason: reason)
    case .gone, .superseded, .busy: break
    }
  }

  /// Has an extent wait, unless other stores count by now than when its repair began: that attempt
  /// says nothing of the next one, and what was waiting then has been made due already.
  private func postpone(_ id: ExtentID, _ reason: String, _ ring: Int64) async throws {
    guard repairer.engine.stores.ringVersion == ring else { return }
    try await metadata.postponeRepair(id, reason: reason)
  }
}
