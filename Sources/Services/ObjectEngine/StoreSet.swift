public import Base
public import ChunkStore
public import Erasure
public import Placement
import Synchronization

/// The stores that this process can reach, and which of them a write goes to.
public final class StoreSet: Sendable {
  /// All stores, in the order of their ordinals.
  public let all: [any ChunkStore]
  private let byID: [StoreID: any ChunkStore]
  private let ring: PlacementRing
  private let states: Mutex<[StoreID: StoreHealth.State]>

  /// Serves `stores`, placed by `ring`.
  public init(stores: [any ChunkStore], ring: PlacementRing) {
    all = stores
    byID = Dictionary(stores.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    self.ring = ring
    states = Mutex([:])
  }

  /// The store of that id, nil when it is not of this installation.
  public subscript(id: StoreID) -> (any ChunkStore)? { byID[id] }

  /// Asks every store how it is; returns the answers in the order of the stores.
  ///
  /// Called at start and every few seconds, on an executor that may block.
  @discardableResult
  public func refresh() async -> [StoreHealth] {
    var answers: [StoreHealth] = []
    for store in all {
      let health = await store.health()
      states.withLock { $0[store.id] = health.state }
      answers.append(health)
    }
    return answers
  }

  /// Takes note that a store refused a write: the next ones go elsewhere until it is well again.
  public func note(_ error: ChunkStoreError, of store: StoreID) {
    let state: StoreHealth.State
    switch error {
    case .full: state = .full
    case .fenced: state = .fenced
    case .offline: state = .offline
    case .missing, .corrupt, .tooLarge, .io: return
    }
    states.withLock { $0[store] = state }
  }

  /// Which store takes which chunk of a new extent, by chunk index: distinct stores as far as
  /// enough of them take writes, else doubled up with at most `parity` chunks on one.
  ///
  /// Throws `storesFull` or `tooFewStores` when even that is impossible.
  public func place(
    _ extent: ExtentID, scheme: ErasureScheme
  ) throws(EngineError) -> [StoreID] {
    let states = states.withLock { $0 }
    let unwell = Set(states.filter { $0.value != .active }.keys)
    let ranked = ring.place(extent, count: scheme.total, beside: [], avoiding: unwell)
    if ranked.count == scheme.total { return ranked }
    let perStore = max(1, scheme.parity)
    guard !ranked.isEmpty, ranked.count * perStore >= scheme.total else {
      if ranked.isEmpty, states.values.contains(.full) { throw .storesFull }
      throw .tooFewStores(
        available: ranked.count, needed: (scheme.total + perStore - 1) / perStore)
    }
    return (0..<scheme.total).map { ranked[$0 % ranked.count] }
  }

  /// What is known of a store; one that was never asked counts as active, a strange one as offline.
  public func state(of id: StoreID) -> StoreHealth.State {
    guard byID[id] != nil else { return .offline }
    return states.withLock { $0[id] } ?? .active
  }

  /// A store that takes writes for one more chunk of an extent, other than those of `kept`; nil
  /// when there is none.
  public func placeOne(_ extent: ExtentID, beside kept: [StoreID]) -> StoreID? {
    let states = states.withLock { $0 }
    let unwell = Set(states.filter { $0.value != .active }.keys)
    return ring.place(extent, count: 1, beside: kept, avoiding: unwell).first
  }
}
