import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Runtime
import Synchronization
import Telemetry

/// Deletes chunks at stores where they do not belong, once no read needs them there: those that
/// were moved away, and what writers that are gone left. Walks along every store once in a period,
/// and along those that are to become empty at once.
public final class StrayWorker: BackgroundWorker {
  private struct State {
    /// The store that is walked along, and where.
    var store: StoreID?
    var position: ChunkListPosition?
    /// Chunks seen in this walk that are to be there, or still wait to go.
    var left = 0
    /// The ring that all chunks had been moved for when the walk began.
    var ring: Int64 = 0
    /// When stores were last walked along to their end, by the process's clock.
    var walked: [StoreID: Duration] = [:]
    var started: Duration?
  }

  /// `strays`.
  public let name = "strays"
  /// The part of the time that it works.
  public let dutyCycle = 0.1
  private let comparison: StoreComparison
  private let period: Duration
  private let interval: Duration
  private let clock: any MonotonicClock
  private let state = Mutex(State())
  private let count = ProgressCell()

  init(
    comparison: StoreComparison, period: Duration, interval: Duration = .seconds(30),
    clock: any MonotonicClock
  ) {
    self.comparison = comparison
    self.period = period
    self.interval = interval
    self.clock = clock
  }

  /// Items are chunks found where they do not belong.
  public var progress: WorkerProgress { count.value }

  /// Begins again.
  public func beginTerm() { state.withLock { $0 = State() } }

  /// Looks at a page of one store.
  public func step() async throws -> StepOutcome {
    try await comparison.copies.removeDue()
    guard try await !comparison.isHeld() else {
      count.add(0, detail: "held")
      return .idle(nextAfter: interval)
    }
    let stores = comparison.engine.stores
    let chosen = state.withLock { $0.store } ?? choose()
    guard let chosen, let store = stores[chosen], stores.state(of: chosen) != .offline else {
      state.withLock { ($0.store, $0.position) = (nil, nil) }
      count.add(0, detail: "")
      return .idle(nextAfter: comparison.copies.count == 0 ? interval : .seconds(1))
    }
    if state.withLock({ $0.store }) != chosen { try await begin(chosen) }
    let outcome: StoreComparison.Outcome
    do {
      outcome = try await comparison.examine(
        store, from: state.withLock { $0.position })
    } catch {
      let now = clock.now
      // The others get their turn first.
      state.withLock { state in
        (state.store, state.position) = (nil, nil)
        state.walked[chosen] = now
      }
      throw error
    }
    state.withLock { $0.left += outcome.kept + outcome.strays }
    if outcome.next == nil { try await noteEmpty(chosen) }
    let now = clock.now
    state.withLock { state in
      state.store = outcome.next == nil ? nil : chosen
      state.position = outcome.next
      if outcome.next == nil { state.walked[chosen] = now }
    }
    count.add(outcome.garbage + outcome.strays + outcome.moved, detail: "comparing")
    return .throttled
  }

  /// The setting that says for which ring a store was found empty, as a number of 8 bytes.
  static func emptySetting(_ store: StoreID) -> String { "empty_store_\(store)" }

  private func begin(_ store: StoreID) async throws {
    let ring = try await RingWalk.finishedRing(RebalanceWorker.walkName, comparison.metadata)
    state.withLock { state in
      (state.store, state.position) = (store, nil)
      (state.left, state.ring) = (0, ring)
    }
  }

  /// The end of a walk along a store that is being emptied: whether nothing is left is kept, also
  /// when something came back.
  private func noteEmpty(_ store: StoreID) async throws {
    let stores = comparison.engine.stores
    let (left, ring) = state.withLock { ($0.left, $0.ring) }
    guard stores.ring.node(store)?.state == .draining else { return }
    let name = Self.emptySetting(store)
    if left == 0, ring >= stores.ringVersion {
      try await comparison.metadata.setSetting(name, RingWalk.bytes(ring))
    } else if left > 0, try await comparison.metadata.setting(name) != nil {
      try await comparison.metadata.setSetting(name, RingWalk.bytes(0))
    }
  }

  /// A store that is being emptied, every now and then; else the one not walked for the longest.
  private func choose() -> StoreID? {
    let stores = comparison.engine.stores
    let ring = stores.ring
    let now = clock.now
    let ids = stores.all.map(\.id).filter { stores.state(of: $0) != .offline }
    return state.withLock { state in
      let started = state.started ?? now
      state.started = started
      let due = ids.filter { id in
        switch ring.node(id)?.state {
        case .draining: now - (state.walked[id] ?? started) >= interval
        case .active: now - (state.walked[id] ?? started) >= period
        case .inactive, nil: false
        }
      }
      return due.min { (state.walked[$0] ?? .zero) < (state.walked[$1] ?? .zero) }
    }
  }
}
