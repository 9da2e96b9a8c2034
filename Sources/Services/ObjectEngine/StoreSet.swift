public import Base
public import ChunkStore
public import Placement
import Synchronization

/// The stores that this process can reach, and which of them a write goes to.
///
/// Members and ring may be replaced at any time; each call sees one state of both.
public final class StoreSet: Sendable {
  /// What placing goes by, at one moment.
  struct View {
    var ring: PlacementRing
    /// Stores that take no writes.
    var unwell: Set<StoreID>
    /// Whether a store is full.
    var isAnyFull: Bool
  }

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

  /// The ring and the health that belong together.
  var view: View {
    state.withLock { state in
      let unwell = state.health.filter { $0.value != .active }
      return View(
        ring: state.ring, unwell: Set(unwell.keys), isAnyFull: unwell.values.contains(.full))
    }
  }

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

  /// Whether nothing more can be stored until space is freed: no store takes writes, and some only
  /// for being full.
  public var isFull: Bool {
    state.withLock { state in
      let states = state.members.map { state.health[$0.id] ?? .active }
      return states.contains(.full) && !states.contains(.active)
    }
  }

  /// Asks every store how it is; returns the answers in the order of the stores.
  ///
  /// Called at start and every few seconds, on an executor that may block.
  @discardableResult
  public func refresh() async -> [StoreHealth] {
    let stores = all
    return await withTaskGroup(of: (Int, StoreHealth).self) { group in
      for (place, store) in stores.enumerated() {
        group.addTask { (place, await store.health()) }
      }
      var answers: [StoreHealth?] = Array(repeating: nil, count: stores.count)
      for await (place, health) in group {
        observe(health.state, of: stores[place].id)
        answers[place] = health
      }
      return answers.compactMap { $0 }
    }
  }

  /// Takes note of how a store is; of a strange one nothing is kept.
  public func observe(_ health: StoreHealth.State, of store: StoreID) {
    state.withLock { state in
      if state.byID[store] != nil { state.health[store] = health }
    }
  }

  /// Takes note that a store refused a write: the next ones go elsewhere until it is well again.
  /// What a task met that was told to stop says nothing about the store.
  public func note(_ error: ChunkStoreError, of store: StoreID) {
    guard !Task.isCancelled else { return }
    switch error {
    case .full: observe(.full, of: store)
    case .fenced: observe(.fenced, of: store)
    case .offline: observe(.offline, of: store)
    case .missing, .corrupt, .tooLarge, .io: return
    }
  }

  /// What is known of a store; one that was never asked counts as active, a strange one as offline.
  public func state(of id: StoreID) -> StoreHealth.State {
    state.withLock { state in
      state.byID[id] == nil ? .offline : state.health[id] ?? .active
    }
  }
}
