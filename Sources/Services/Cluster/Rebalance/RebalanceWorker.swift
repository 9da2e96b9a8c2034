import Base
import Metadata
import ObjectEngine
import Synchronization
import Telemetry

/// Moves chunks to where the ring wants them, once for each ring: to servers that joined, away from
/// those that leave, and as weights say; large extents one at a time, small ones side by side.
///
/// A chunk is made at its new place, recorded there under the generation of the row, and deleted at
/// the former one when no read can need it any more.
public final class RebalanceWorker: BackgroundWorker {
  /// The settings of its walk begin with this.
  public static let walkName = "rebalance"
  /// Extents read from the metadata at once.
  static let pageSize = 64
  /// The rest between two walks in vain doubles so often at most.
  static let longestPatience = 5

  private struct State {
    /// The rest of a page, the next extent last.
    var page: [Extent] = []
    /// The last extent of the page, of which others may be done with before it.
    var end: ExtentID?
    var isBlocked = false
    var looked = 0
    /// Walks in a row that left chunks where they are.
    var vain = 0
  }

  /// `rebalance`.
  public let name = "rebalance"
  /// The part of the time that it works.
  public let dutyCycle: Double
  private let engine: ObjectEngine
  private let repairer: ExtentRepairer
  private let walk: RingWalk
  private let copies: FormerCopies
  private let interval: Duration
  private let state = Mutex(State())
  private let count = ProgressCell()

  init(
    repairer: ExtentRepairer, metadata: any ClusterMetadata, copies: FormerCopies,
    interval: Duration, dutyCycle: Double
  ) {
    engine = repairer.engine
    self.repairer = repairer
    self.copies = copies
    self.interval = interval
    self.dutyCycle = dutyCycle
    walk = RingWalk(name: Self.walkName, metadata: metadata, stores: engine.stores)
  }

  /// Items are chunks moved; the detail says how far the walk is.
  public var progress: WorkerProgress { count.value }

  /// Goes on from what the metadata says.
  public func beginTerm() {
    walk.reset()
    state.withLock { $0 = State() }
  }

  /// Moves the chunks of one extent, or of several small ones, or looks at a page of extents.
  public func step() async throws -> StepOutcome {
    try await copies.removeDue()
    let waiting = copies.count
    guard waiting < FormerCopies.limit else {
      count.add(0, detail: "\(waiting) former copies wait for reads to end")
      return .idle(nextAfter: .seconds(1))
    }
    if state.withLock({ $0.page.isEmpty }), let rest = try await loadPage() { return rest }
    let group = try await nextToMove()
    return group.isEmpty ? .throttled : try await move(group)
  }

  /// The next extents of the page that can lie better. Those before them are done with.
  private func nextToMove() async throws -> [Extent] {
    try await SideBySide.next(state.withLock { $0.page }.reversed()) { extent in
      let plan = RebalancePlan(extent, stores: engine.stores)
      if plan.isBlocked { state.withLock { $0.isBlocked = true } }
      guard plan.targets.isEmpty else { return true }
      try await pass(extent)
      return false
    }
  }

  private func loadPage() async throws -> StepOutcome? {
    switch try await walk.next(limit: Self.pageSize) {
    case .notReady: return .idle(nextAfter: min(interval, .seconds(1)))
    case .none:
      count.add(0, detail: walk.awaitsWriters ? "all writers are to go by the ring first" : "")
      return .idle(nextAfter: copies.count == 0 ? interval : min(interval, .seconds(1)))
    case .extents(let extents):
      state.withLock { state in
        state.page = extents.reversed()
        state.end = extents.last?.id
      }
      return nil
    case .end:
      let isComplete = state.withLock { state in
        defer {
          state.isBlocked = false
          state.looked = 0
        }
        return !state.isBlocked
      }
      if try await walk.finish(isComplete: isComplete) {
        state.withLock { $0.vain = 0 }
        return .throttled
      }
      count.add(0, detail: "some chunks wait for stores, repair or writers")
      let vain = state.withLock { state in
        state.vain = min(state.vain + 1, Self.longestPatience)
        return state.vain
      }
      return .idle(nextAfter: interval * (1 << vain) / 2)
    }
  }

  /// Done with an extent of the page.
  private func pass(_ extent: Extent) async throws {
    let (end, looked) = state.withLock { state in
      state.page.removeAll { $0.id == extent.id }
      state.looked += 1
      return (state.page.isEmpty ? state.end : nil, state.looked)
    }
    guard let end else { return }
    try await walk.advance(past: end)
    count.add(0, detail: "\(looked) extents looked at")
  }

  private func move(_ group: [Extent]) async throws -> StepOutcome {
    let stores = engine.stores
    let outcomes = try await SideBySide.run(group) { [repairer, copies, count] extent in
      let (outcome, moved) = try await repairer.move(extent.id) {
        RebalancePlan($0, stores: stores).targets
      }
      try await copies.add(moved)
      count.add(moved.count)
      return outcome
    }
    var areBusy = true
    for (extent, outcome) in zip(group, outcomes) {
      switch outcome {
      case .repaired, .gone: break
      case .busy: continue
      case .superseded, .incomplete, .unreadable, .refused:
        state.withLock { $0.isBlocked = true }
      }
      areBusy = false
      try await pass(extent)
    }
    return areBusy ? .idle(nextAfter: .seconds(1)) : .throttled
  }
}
