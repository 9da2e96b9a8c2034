package import Base
import ChunkStore
import Erasure
package import Metadata
package import ObjectEngine
import Placement

/// Which chunks of an extent are to move, and where.
package struct RebalancePlan {
  /// The stores to move to, by chunk index.
  package var targets: [Int: StoreID] = [:]
  /// Whether a chunk is to move and cannot now.
  package var isBlocked = false

  /// Compares where the chunks are with where the ring wants them: each that lies in a store that
  /// should have it stays, so that no more move than have to.
  ///
  /// Chunks in stores that are lost or gone are for repair, not moved.
  package init(_ extent: Extent, stores: StoreSet) {
    guard let scheme = ErasureScheme(data: extent.dataCount, parity: extent.parityCount),
      extent.stores.count == scheme.total
    else { return }
    let ring = stores.ring
    var room: [StoreID: Int] = [:]
    let ideal = StoreSet.ideal(extent.id, scheme: scheme, ring: ring) ?? []
    for store in ideal { room[store, default: 0] += 1 }
    var surplus: [(chunk: Int, isLeaving: Bool)] = []
    for (chunk, store) in extent.stores.enumerated() {
      if let left = room[store], left > 0 {
        room[store] = left - 1
        continue
      }
      switch ring.node(store)?.state {
      case .active: surplus.append((chunk, false))
      case .draining: surplus.append((chunk, true))
      case .inactive, nil: isBlocked = true
      }
    }
    var open: [StoreID] = []
    for store in ideal where room[store, default: 0] > 0 {
      room[store, default: 0] -= 1
      open.append(store)
    }
    var taken = extent.stores
    for (chunk, isLeaving) in surplus.sorted(by: { $0.isLeaving && !$1.isLeaving }) {
      // One that is known not to be there is for repair.
      guard extent.missing & 1 << UInt32(chunk) == 0 else {
        isBlocked = true
        continue
      }
      if let place = open.firstIndex(where: { stores.state(of: $0) == .active }) {
        targets[chunk] = open.remove(at: place)
      } else if isLeaving, let other = Self.anyPlace(extent, scheme, chunk, taken, stores) {
        targets[chunk] = other
      } else {
        isBlocked = true
        continue
      }
      if let target = targets[chunk] { taken.append(target) }
    }
  }

  /// A place for a chunk that cannot stay, where the one that the ring wants is away.
  private static func anyPlace(
    _ extent: Extent, _ scheme: ErasureScheme, _ chunk: Int, _ taken: [StoreID],
    _ stores: StoreSet
  ) -> StoreID? {
    if let distinct = stores.placeOne(extent.id, beside: taken) { return distinct }
    let kept = taken.enumerated().filter { index, store in
      index != chunk && stores.ring.node(store)?.state == .active
    }.map(\.element)
    return stores.placeDoubled(extent.id, beside: kept, limit: max(1, scheme.parity))
  }
}
