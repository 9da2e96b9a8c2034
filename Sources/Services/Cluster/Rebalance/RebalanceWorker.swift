import Base
import Metadata
import ObjectEngine
import Synchronization
import Telemetry

/// Moves chunks to where the ring wants them, once for each ring: to servers that joined, away from
/// those that leave, and as weights say; one extent at a time in each lane, of which there are as many
/// as of repair.
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

  /// The rest before a lane without work looks whether the others are done with a page.
  static let laneRest = Duration.milliseconds(100)

  private struct State {
    /// Changes when what lanes have begun counts no more.
    var term = 0
    var page = ExtentPage()
    /// Whether there may be something to move: else one lane is enough to look.
    var isWalking = false
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
  private let extentLanes: ExtentLanes
  private let state = Mutex(State())
  private let count = ProgressCell()

  init(
    repairer: ExtentRepairer, metadata: any ClusterMetadata, copies: FormerCopies,
    interval: Duration, dutyCycle: Double, lanes: ExtentLanes
  ) {
    extentLanes = lanes
    engine = repairer.engine
    self.repairer = repairer
    self.copies = copies
    self.interval = interval
    self.dutyCycle = dutyCycle
    walk = RingWalk(name: Self.walkName, metadata: metadata, stores: engine.stores)
  }

  /// The most steps at a time.
  public var maximumLanes: Int { extentLanes.maximum }
  /// As many as the servers by now while a walk is on its way.
  public var lanes: Int { state.withLock { $0.isWalking } ? extentLanes.count : 1 }
  /// Items are chunks moved; the detail says how far the walk is.
  public var progress: WorkerProgress { count.value }

  /// Goes on from what the metadata says.
  public func beginTerm() {
    walk.reset()
    state.withLock { $0 = State(term: $0.term + 1) }
  }

  /// Moves the chunks of one extent, or looks at a page of extents.
  public func step() async throws -> StepOutcome {
    try await copies.removeDue()
    let waiting = copies.count
    guard waiting < FormerCopies.limit else {
      count.add(0, detail: "\(waiting) former copies wait for reads to end")
      return .idle(nextAfter: .seconds(1))
    }
    while true {
      let (turn, term) = state.withLock { ($0.page.take(), $0.term) }
      switch turn {
      case .wait: return .idle(nextAfter: Self.laneRest)
      case .load:
        defer { change(term) { $0.page.endTurning() } }
        return try await loadPage(term)
      case .extent(let extent):
        let plan = RebalancePlan(extent, stores: engine.stores)
        if plan.isBlocked { change(term) { $0.isBlocked = true } }
        if !plan.targets.isEmpty { return try await move(extent, term) }
        try await pass(term)
      }
    }
  }

  /// Changes the state, unless another term has begun since.
  @discardableResult
  private func change<R>(_ term: Int, _ body: (inout State) -> R?) -> R? {
    state.withLock { $0.term == term ? body(&$0) : nil }
  }

  private func loadPage(_ term: Int) async throws -> StepOutcome {
    switch try await walk.next(limit: Self.pageSize) {
    case .notReady: return .idle(nextAfter: min(interval, .seconds(1)))
    case .none:
      change(term) { $0.isWalking = false }
      count.add(0, detail: walk.awaitsWriters ? "all writers are to go by the ring first" : "")
      return .idle(nextAfter: copies.count == 0 ? interval : min(interval, .seconds(1)))
    case .extents(let extents):
      change(term) { state in
        state.page.load(extents)
        state.isWalking = true
      }
      return .throttled
    case .end:
      let isComplete = change(term) { state in
        defer { (state.isBlocked, state.isWalking, state.looked) = (false, false, 0) }
        return !state.isBlocked
      }
      guard let isComplete else { return .throttled }
      if try await walk.finish(isComplete: isComplete) {
        change(term) { $0.vain = 0 }
        return .throttled
      }
      count.add(0, detail: "some chunks wait for stores, repair or writers")
      let vain = change(term) { state in
        state.vain = min(state.vain + 1, Self.longestPatience)
        return state.vain
      }
      return .idle(nextAfter: interval * (1 << (vain ?? 1)) / 2)
    }
  }

  /// Done with an extent; the walk goes on behind the page when it was the last.
  private func pass(_ term: Int) async throws {
    let end = change(term) { state in
      state.looked += 1
      return state.page.pass()
    }
    guard let end else { return }
    defer { change(term) { $0.page.endTurning() } }
    try await walk.advance(past: end)
    count.add(0, detail: "\(state.withLock { $0.looked }) extents looked at")
  }

  private func move(_ extent: Extent, _ term: Int) async throws -> StepOutcome {
    let stores = engine.stores
    let outcome: RepairOutcome
    let moved: [MovedChunk]
    do {
      (outcome, moved) = try await repairer.move(extent.id) {
        RebalancePlan($0, stores: stores).targets
      }
      try await copies.add(moved)
    } catch {
      change(term) { $0.page.giveBack(extent) }
      throw error
    }
    count.add(moved.count)
    switch outcome {
    case .repaired, .gone: break
    case .busy:
      change(term) { $0.page.giveBack(extent) }
      return .idle(nextAfter: .seconds(1))
    case .superseded, .incomplete, .unreadable, .refused: change(term) { $0.isBlocked = true }
    }
    try await pass(term)
    return .throttled
  }
}
