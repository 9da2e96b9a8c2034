public import Base
public import ChunkStore
public import Erasure
public import Placement
import Synchronization

/// The stores that this process can reach, and which of them a write goes to.
///
/// Members and ring may be replaced at any time; each call sees one state of both.
public final class StoreSet: Sendable {
  private struct State {
    var members: [any ChunkStore]
    var byID: [StoreID: any ChunkStore]
    var ring: PlacementRing
    var ringVersion: Int64
    var health: [StoreID: StoreHealth.State] = [:]
  }

  private let state: Mutex<State>

  /// Serves `stores`, placed by `ring`.
  public init(stores: [any ChunkStore], ring: PlacementRing, ringVersion: Int64 = 1) {
    state = Mutex(
      State(
        members: stores, byID: Self.index(stores), ring: ring, ringVersion: ringVersion))
  }

  private static func index(_ stores: [any ChunkStore]) -> [StoreID: any ChunkStore] {
    Dictionary(stores.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// All stores, in the order of their ordinals.
  public var all: [any ChunkStore] { state.withLock { $0.members } }

  /// The ring that new extents are placed by.
  public var ring: PlacementRing { state.withLock { $0.ring } }

  /// The number of that ring: raised by each change of members, weights or states.
  public var ringVersion: Int64 { state.withLock { $0.ringVersion } }

  /// Replaces the members and the ring; what is known of the health of stores that stay is kept.
  /// A version below the present one changes nothing.
  public func update(stores: [any ChunkStore], ring: PlacementRing, ringVersion: Int64) {
    let byID = Self.index(stores)
    state.withLock { state in
      guard ringVersion >= state.ringVersion else { return }
      state.members = stores
      state.byID = byID
      state.ring = ring
      state.ringVersion = ringVersion
      state.health = state.health.filter { byID[$0.key] != nil }
    }
  }

  /// The store of that id, nil when it is not of this installation.
  public subscript(id: StoreID) -> (any ChunkStore)? { state.withLock { $0.byID[id] } }

  /// Asks every store how it is; returns the answers in the order of the stores.
  ///
  /// Called at start and every few seconds, on an executor that may block.
  @discardableResult
  public func refresh() async -> [StoreHealth] {
    var answers: [StoreHealth] = []
    for store in all {
      let health = await store.health()
      observe(health.state, of: store.id)
      answers.append(health)
    }
    return answers
  }

  /// Takes note of how a store is; of a strange one nothing is kept.
  public func observe(_ health: StoreHealth.State, of store: StoreID) {
    state.withLock { state in
      if state.byID[store] != nil { state.health[store] = health }
    }
  }

  /// Takes note that a store refused a write: the next ones go elsewhere until it is well again.
  public func note(_ error: ChunkStoreError, of store: StoreID) {
    switch error {
    case .full: observe(.full, of: store)
    case .fenced: observe(.fenced, of: store)
    case .offline: observe(.offline, of: store)
    case .missing, .corrupt, .tooLarge, .io: return
    }
  }

  /// Which store takes which chunk of a new extent, by chunk index: distinct stores as far as
  /// enough of them take writes, else doubled up with at most `parity` chunks on one.
  ///
  /// Throws `storesFull` or `tooFewStores` when even that is impossible.
  public func place(
    _ extent: ExtentID, scheme: ErasureScheme
  ) throws(EngineError) -> [StoreID] {
    let (ring, health) = state.withLock { ($0.ring, $0.health) }
    let unwell = Set(health.filter { $0.value != .active }.keys)
    let ranked = ring.place(extent, count: scheme.total, beside: [], avoiding: unwell)
    if ranked.count == scheme.total { return ranked }
    let perStore = max(1, scheme.parity)
    guard !ranked.isEmpty, ranked.count * perStore >= scheme.total else {
      if ranked.isEmpty, health.values.contains(.full) { throw .storesFull }
      throw .tooFewStores(
        available: ranked.count, needed: (scheme.total + perStore - 1) / perStore)
    }
    return (0..<scheme.total).map { ranked[$0 % ranked.count] }
  }

  /// What is known of a store; one that was never asked counts as active, a strange one as offline.
  public func state(of id: StoreID) -> StoreHealth.State {
    state.withLock { state in
      state.byID[id] == nil ? .offline : state.health[id] ?? .active
    }
  }

  /// A store that takes writes for one more chunk of an extent, other than those of `kept`; nil
  /// when there is none.
  public func placeOne(_ extent: ExtentID, beside kept: [StoreID]) -> StoreID? {
    let (ring, health) = state.withLock { ($0.ring, $0.health) }
    let unwell = Set(health.filter { $0.value != .active }.keys)
    return ring.place(extent, count: 1, beside: kept, avoiding: unwell).first
  }
}
