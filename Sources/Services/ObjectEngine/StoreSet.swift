public import Base
public import ChunkStore
import Erasure
public import Placement

/// The stores that this process can reach, and which of them a write goes to.
public final class StoreSet: Sendable {
  /// All stores, in the order of their ordinals.
  public let all: [any ChunkStore]
  private let byID: [StoreID: any ChunkStore]
  private let ring: Ring

  /// Serves `stores`, placed by `ring`.
  public init(stores: [any ChunkStore], ring: Ring) {
    all = stores
    byID = Dictionary(stores.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    self.ring = ring
  }

  /// The store of that id, nil when it is not of this installation.
  public subscript(id: StoreID) -> (any ChunkStore)? { byID[id] }

  /// Which store takes which chunk of a new extent, by chunk index: distinct stores as far as
  /// enough of them take writes, else doubled up with at most `parityCount` chunks on one.
  ///
  /// Throws `storesFull` or `tooFewStores` when even that is impossible.
  public func place(
    _ extent: ExtentID, scheme: ErasureScheme
  ) throws(EngineError) -> [StoreID] {
    let count = scheme.total
    let states = all.map { (id: $0.id, state: $0.writability) }
    let writable = Set(states.filter { $0.state == .writable }.map(\.id))
    let ranked = ring.order(extent).filter { writable.contains($0) }
    if ranked.count >= count { return Array(ranked.prefix(count)) }
    let perStore = max(1, scheme.parity)
    guard ranked.count * perStore >= count, !ranked.isEmpty else {
      if writable.isEmpty, states.contains(where: { $0.state == .full }) { throw .storesFull }
      throw .tooFewStores(available: ranked.count, needed: (count + perStore - 1) / perStore)
    }
    return (0..<count).map { ranked[$0 % ranked.count] }
  }
}
