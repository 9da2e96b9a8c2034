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
    /// Chunks of the page before that are not to stay, and are seen to one by one.
    var unsettled: [ChunkID] = []
    /// Whether that page was the last.
    var isListed = false
    /// Chunks seen in this walk that are to be there, or still wait to go.
    var left = 0
    /// The ring that all chunks had been moved for when the walk began.
    var ring: Int64 = 0
    /// When stores were last walked along to their end, or first seen, by the database's clock.
    var walked: [StoreID: Timestamp] = [:]
    /// Stores whose walk has failed, and until when they wait, by the process's clock.
    var failed: [StoreID: (times: Int, until: Duration)] = [:]

    /// No store is walked along.
    mutating func rest() {
      (store, position) = (nil, nil)
      (unsettled, isListed) = ([], false)
    }
  }

  /// The rest of a store whose walk fails doubles so often at most.
  static let longestPatience = 4

  /// `strays`.
  public let name = "strays"
  /// The part of the time that it works.
  public let dutyCycle = 0.1
  private let comparison: StoreComparison
  private let periodMilliseconds: Int64
  private let interval: Duration
  private let clock: any MonotonicClock
  private let state = Mutex(State())
  private let count = ProgressCell()

  init(
    comparison: StoreComparison, period: Duration, interval: Duration = .seconds(30),
    clock: any MonotonicClock
  ) {
    self.comparison = comparison
    periodMilliseconds = period.wholeMilliseconds
    self.interval = interval
    self.clock = clock
  }

  /// Items are chunks found where they do not belong.
  public var progress: WorkerProgress { count.value }

  /// Begins again; when stores were last walked along is read again from the metadata.
  public func beginTerm() { state.withLock { $0 = State() } }

  /// Looks at a page of one store.
  public func step() async throws -> StepOutcome {
    try await comparison.copies.removeDue()
    guard try await !comparison.hold.isInForce() else {
      count.add(0, detail: "held")
      return .idle(nextAfter: interval)
    }
    let stores = comparison.engine.stores
    var chosen = state.withLock { $0.store }
    if chosen == nil { chosen = try await choose() }
    guard let chosen, let store = stores[chosen], stores.state(of: chosen) != .offline else {
      state.withLock { $0.rest() }
      count.add(0, detail: "")
      return .idle(nextAfter: comparison.copies.count == 0 ? interval : .seconds(1))
    }
    if state.withLock({ $0.store }) != chosen { try await begin(chosen) }
    let outcome: StoreComparison.Outcome
    do {
      outcome = try await look(store)
    } catch {
      putBack(chosen)
      throw error
    }
    let isDone = state.withLock { state in
      state.left += outcome.kept + outcome.strays
      return state.isListed && state.unsettled.isEmpty
    }
    if isDone {
      try await noteEmpty(chosen)
      try await noteWalked(chosen)
      comparison.copies.noteWalked(chosen)
      state.withLock { $0.rest() }
    }
    count.add(outcome.garbage + outcome.strays + outcome.moved, detail: "comparing")
    return .throttled
  }

  /// Sees to one chunk that is not to stay, or looks at the next page.
  private func look(_ store: any ChunkStore) async throws -> StoreComparison.Outcome {
    if let chunk = state.withLock({ $0.unsettled.last }) {
      let outcome = try await comparison.settle(chunk, at: store)
      state.withLock { _ = $0.unsettled.popLast() }
      return outcome
    }
    let outcome = try await comparison.examine(store, from: state.withLock { $0.position })
    state.withLock { state in
      state.position = outcome.next
      state.isListed = outcome.next == nil
      state.unsettled = outcome.unsettled
    }
    return outcome
  }

  /// The setting that says for which ring a store was found empty, as a number of 8 bytes.
  static func emptySetting(_ store: StoreID) -> String { "empty_store_\(store)" }

  private func begin(_ store: StoreID) async throws {
    let ring = try await RingWalk.finishedRing(RebalanceWorker.walkName, comparison.metadata)
    state.withLock { state in
      state.rest()
      state.store = store
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

  /// The others get their turn first, for a while.
  private func putBack(_ store: StoreID) {
    let now = clock.now
    state.withLock { state in
      state.rest()
      let times = min((state.failed[store]?.times ?? 0) + 1, Self.longestPatience)
      state.failed[store] = (times, now + interval * (1 << times))
    }
  }

  /// The setting that says when a store was last walked along to its end, or first seen, in
  /// milliseconds as a number of 8 bytes.
  static func walkedSetting(_ store: StoreID) -> String { "strays_walked_\(store)" }

  @discardableResult
  private func noteWalked(_ store: StoreID) async throws -> Timestamp {
    let now = try await comparison.metadata.now()
    try await comparison.metadata.setSetting(
      Self.walkedSetting(store), RingWalk.bytes(now.milliseconds))
    state.withLock { state in
      state.walked[store] = now
      state.failed[store] = nil
    }
    return now
  }

  /// When a store was last walked along; one that was never seen has its period before it.
  private func lastWalked(_ store: StoreID) async throws -> Timestamp {
    if let known = state.withLock({ $0.walked[store] }) { return known }
    let bytes = try await comparison.metadata.setting(Self.walkedSetting(store)) ?? []
    guard let milliseconds = RingWalk.number(bytes) else { return try await noteWalked(store) }
    let time = Timestamp(milliseconds: milliseconds)
    state.withLock { $0.walked[store] = time }
    return time
  }

  /// A store that is being emptied, every now and then; else the one not walked for the longest.
  private func choose() async throws -> StoreID? {
    let stores = comparison.engine.stores
    let ring = stores.ring
    let time = clock.now
    let ids = stores.all.map(\.id).filter { stores.state(of: $0) != .offline }
    let waiting = state.withLock { $0.failed.filter { $0.value.until > time } }
    var oldest: (store: StoreID, walked: Timestamp)?
    let now = try await comparison.metadata.now()
    for id in ids {
      let pause: Int64
      switch ring.node(id)?.state {
      case .draining: pause = interval.wholeMilliseconds
      case .active: pause = periodMilliseconds
      case .inactive, nil: continue
      }
      let walked = try await lastWalked(id)
      // A moment to come was noted by a clock that was set back since.
      let isDue = walked > now || now >= walked.advanced(byMilliseconds: pause)
      guard isDue, waiting[id] == nil else { continue }
      if oldest.map({ walked < $0.walked }) ?? true { oldest = (id, walked) }
    }
    return oldest?.store
  }
}
