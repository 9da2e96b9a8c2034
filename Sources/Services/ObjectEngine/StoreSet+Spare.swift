import Base
import ChunkStore
import Erasure
import Placement

/// Where the chunks of an extent lie that are durable, or are to be.
struct ChunkLayout {
  let scheme: ErasureScheme
  let ring: PlacementRing
  /// Which store takes which chunk, by chunk index.
  let stores: [StoreID]

  /// The largest number of the chunks that would be lost with one server.
  private func largestLoss(_ chunks: some Sequence<Int>) -> Int {
    var loads: [String: Int] = [:]
    for index in chunks {
      // A store that the ring does not know counts as a server of its own.
      loads[ring.node(stores[index])?.server ?? "\(stores[index])", default: 0] += 1
    }
    return loads.values.max() ?? 0
  }

  /// Whether these chunks suffice to acknowledge a write: k + ⌈m/2⌉ of them, and k left after the
  /// loss of any server, where the layout as a whole bears that.
  func isEnough(_ chunks: [Int]) -> Bool {
    guard chunks.count >= scheme.writeQuorum else { return false }
    guard stores.count - largestLoss(stores.indices) >= scheme.data else { return true }
    return chunks.count - largestLoss(chunks) >= scheme.data
  }
}

extension StoreSet {
  /// A store for one more chunk of an extent, none of `failed`: on the server that has the fewest
  /// of the chunks in `kept`, and fewer than m. Nil when there is none.
  func spare(
    _ extent: ExtentID, scheme: ErasureScheme, beside kept: [StoreID], failed: Set<StoreID>
  ) -> StoreID? {
    let ring = self.ring
    var onServer: [String: Int] = [:]
    var onStore: [StoreID: Int] = [:]
    for store in kept {
      onStore[store, default: 0] += 1
      if let server = ring.node(store)?.server { onServer[server, default: 0] += 1 }
    }
    var best: (store: StoreID, load: (Int, Int))?
    for store in ring.place(extent, count: ring.nodes.count) {
      guard !failed.contains(store), state(of: store) == .active,
        let server = ring.node(store)?.server
      else { continue }
      let load = (onServer[server, default: 0], onStore[store, default: 0])
      guard load.0 < max(1, scheme.parity) else { continue }
      if let best, best.load <= load { continue }
      best = (store, load)
    }
    return best?.store
  }
}
