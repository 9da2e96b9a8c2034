import Base
import Metadata
import ObjectEngine
import Synchronization
import Telemetry

/// Moves chunks to where the ring wants them, once for each ring: to servers that joined, away from
/// those that leave, and as weights say; one extent at a time.
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

  /// Moves the chunks of one extent, or looks at a page of extents.
  public func step() async throws -> StepOutcome {
    try await copies.removeDue()
    let waiting = copies.count
    guard waiting < FormerCopies.limit else {
      count.add(0, detail: "\(waiting) former copies wait for reads to end")
      return .idle(nextAfter: .seconds(1))
    }
    if state.withLock({ $0.page.isEmpty }), let rest = try await loadPage() { return rest }
    while let extent = state.withLock({ $0.page.last }) {
      let plan = RebalancePlan(extent, stores: engine.stores)
      if plan.isBlocked { state.withLock { $0.isBlocked = true } }
      if plan.targets.isEmpty {
        try await pass(extent)
        continue
      }
      return try await move(extent)
    }
    return .throttled
  }

  private func loadPage() async throws -> StepOutcome? {
    switch try await walk.next(limit: Self.pageSize) {
    case .notReady: return .idle(nextAfter: min(interval, .seconds(1)))
    case .none:
      count.add(0, detail: walk.awaitsWriters ? "all writers are to go by the ring first" : "")
      return .idle(nextAfter: copies.count == 0 ? interval : min(interval, .seconds(1)))
    case .extents(let extents):
      state.withLock { $0.page = extents.reversed() }
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

  /// Done with an extent.
  private func pass(_ extent: Extent) async throws {
    let (isLast, looked) = state.withLock { state in
      if state.page.last?.id == extent.id { state.page.removeLast() }
      state.looked += 1
      return (state.page.isEmpty, state.looked)
    }
    guard isLast else { return }
    try await walk.advance(past: extent.id)
    count.add(0, detail: "\(looked) extents looked at")
  }

  private func move(_ extent: Extent) async throws -> StepOutcome {
    let stores = engine.stores
    let (outcome, moved) = try await repairer.move(extent.id) {
      RebalancePlan($0, stores: stores).targets
    }
    try await copies.add(moved)
    count.add(moved.count)
    switch outcome {
    case .repaired, .gone: break
    case .busy: return .idle(nextAfter: .seconds(1))
    case .superseded, .incomplete, .unreadable, .refused:
      state.withLock { $0.isBlocked = true }
    }
    try await pass(extent)
    return .throttled
  }
}
