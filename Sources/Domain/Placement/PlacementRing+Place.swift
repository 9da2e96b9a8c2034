public import Base

extension PlacementRing {
  /// The stores for the chunks of an extent, in the order of the chunks.
  ///
  /// They are `count` different active stores, fewer only when there are no more. They lie on
  /// different servers while there are enough, else as evenly as the stores allow; among those
  /// choices, in as many different zones as there are.
  public func place(_ key: ExtentID, count: Int) -> [StoreID] {
    place(key, count: count, beside: [], avoiding: [])
  }

  /// The stores for `count` more chunks of an extent of which some chunks lie on `kept` already.
  ///
  /// None of `kept` and `avoiding` is chosen; the servers and zones of `kept` count as taken, as
  /// far as the ring knows them. Fewer than `count` only when there are no more stores.
  public func place(
    _ key: ExtentID, count: Int, beside kept: [StoreID], avoiding: Set<StoreID>
  ) -> [StoreID] {
    guard count > 0, !active.isEmpty else { return [] }
    var choice = PlacementChoice(ring: self, kept: kept, avoiding: avoiding)
    var walk = self.walk(from: key)
    let all = count + kept.count
    // Lower limits first: no server and no zone gets one more while another could do with less.
    for serverLimit in max(1, all / serverCount)...all {
      for zoneLimit in max(1, all / zoneCount)...all {
        // What the limits let in at most: beyond it there is no use in walking on.
        let bound = min(count, serverLimit * serverCount, zoneLimit * zoneCount)
        var index = 0
        while choice.taken.count < bound, let node = walk.node(index) {
          choice.take(node, serverLimit: serverLimit, zoneLimit: zoneLimit)
          index += 1
        }
        if choice.taken.count == count { return choice.taken.map { active[$0].id } }
      }
    }
    return choice.taken.map { active[$0].id }
  }

  /// How a set of stores is spread, as far as the ring knows them.
  public func spread(of stores: [StoreID]) -> PlacementSpread {
    var servers: [String: Int] = [:]
    var zones: [String: Int] = [:]
    for store in stores {
      guard let node = node(store) else { continue }
      servers[node.server, default: 0] += 1
      zones[node.zone, default: 0] += 1
    }
    return PlacementSpread(
      servers: servers.count, zones: zones.count,
      largestOnOneServer: servers.values.max() ?? 0,
      largestInOneZone: zones.values.max() ?? 0)
  }

  /// What the ring knows of a store, in whatever state; nil for a strange one.
  public func node(_ id: StoreID) -> PlacementNode? {
    var low = 0
    var high = nodes.count
    while low < high {
      let middle = low + (high - low) / 2
      if nodes[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < nodes.count && nodes[low].id == id ? nodes[low] : nil
  }
}

/// What a set of stores would lose with one server or zone.
public struct PlacementSpread: Hashable, Sendable {
  /// Different servers.
  public var servers: Int
  /// Different zones.
  public var zones: Int
  /// Stores on the server that has the most of them.
  public var largestOnOneServer: Int
  /// Stores in the zone that has the most of them.
  public var largestInOneZone: Int
}

/// The nodes chosen so far, and how many on each server and in each zone.
private struct PlacementChoice {
  private let ring: PlacementRing
  private var barred: Set<StoreID>
  private var onServer: [Int]
  private var inZone: [Int]
  private var isTaken: [Bool]
  private(set) var taken: [Int] = []

  init(ring: PlacementRing, kept: [StoreID], avoiding: Set<StoreID>) {
    self.ring = ring
    barred = avoiding.union(kept)
    onServer = Array(repeating: 0, count: ring.serverCount)
    inZone = Array(repeating: 0, count: ring.zoneCount)
    isTaken = Array(repeating: false, count: ring.active.count)
    for id in kept {
      // A kept store may itself be draining: its server counts when others of it are active.
      guard let node = ring.node(id) else { continue }
      if let index = ring.active.firstIndex(where: { $0.server == node.server }) {
        onServer[ring.serverOfNode[index]] += 1
      }
      if let index = ring.active.firstIndex(where: { $0.zone == node.zone }) {
        inZone[ring.zoneOfNode[index]] += 1
      }
    }
  }

  mutating func take(_ node: Int, serverLimit: Int, zoneLimit: Int) {
    let server = ring.serverOfNode[node]
    let zone = ring.zoneOfNode[node]
    guard !isTaken[node], onServer[server] < serverLimit, inZone[zone] < zoneLimit,
      barred.isEmpty || !barred.contains(ring.active[node].id)
    else { return }
    isTaken[node] = true
    onServer[server] += 1
    inZone[zone] += 1
    taken.append(node)
  }
}
