import Base
import Runtime
import Testing

@testable import Placement

func node(
  _ number: Int, server: Int? = nil, zone: String = "", weight: Int = 100,
  state: PlacementNode.State = .active
) -> PlacementNode {
  let random = SeededRandom(seed: UInt64(number) &* 7919)
  return PlacementNode(
    id: StoreID(high: random.next(), low: random.next()), server: "server-\(server ?? number)",
    zone: zone, weight: weight, state: state)
}

func keys(_ count: Int, seed: UInt64 = 1) -> [ExtentID] {
  let random = SeededRandom(seed: seed)
  return (0..<count).map { _ in ExtentID(high: random.next(), low: random.next()) }
}

/// How many chunks of so many extents each store gets.
func load(_ ring: PlacementRing, count: Int, keys: [ExtentID]) -> [StoreID: Int] {
  var result: [StoreID: Int] = [:]
  for key in keys {
    for store in ring.place(key, count: count) { result[store, default: 0] += 1 }
  }
  return result
}

@Suite struct PlacementTests {
  @Test("the hash is frozen")
  func frozenHash() {
    #expect(PlacementHash.mix(0, 0) == 0xe220_a839_7b1d_cdaf)
    #expect(PlacementHash.point(high: 1, low: 2, number: 3) == 14_996_722_486_362_563_744)
    #expect(PlacementHash.key(high: 1, low: 2) == 2_554_043_094_958_247_610)
  }

  @Test("placements are frozen")
  func frozenPlacements() {
    let weights = [100, 100, 200, 50, 100, 150, 100, 100, 300]
    let nodes = (0..<9).map { number in
      node(number, server: number / 2, zone: "z\(number % 3)", weight: weights[number])
    }
    let ring = PlacementRing(nodes: nodes, width: 6)
    var hash: UInt64 = 0
    for key in keys(2000) {
      for store in ring.place(key, count: 6) { hash = PlacementHash.mix(hash, store.high) }
    }
    #expect(hash == 6_787_086_755_068_840_041)
  }

  @Test("what stores get follows their weight within 10 %", arguments: [1, 3, 6])
  func distribution(count: Int) {
    let nodes = (0..<12).map { node($0, weight: [100, 150, 200][$0 % 3]) }
    let ring = PlacementRing(nodes: nodes, width: count)
    let extents = 60_000
    let got = load(ring, count: count, keys: keys(extents))
    let total = nodes.reduce(0) { $0 + $1.weight }
    for node in nodes {
      let fair = Double(extents * count) * Double(node.weight) / Double(total)
      let ratio = Double(got[node.id, default: 0]) / fair
      #expect(abs(ratio - 1) < 0.1, "weight \(node.weight) got \(ratio) of its share")
    }
  }

  @Test("a store that joins takes about its share and little else moves")
  func stability() {
    let nodes = (0..<12).map { node($0) }
    let before = PlacementRing(nodes: nodes, width: 6)
    let after = PlacementRing(nodes: nodes + [node(99)], width: 6)
    var moved = 0
    var joined = 0
    let extents = keys(20_000)
    for key in extents {
      let old = Set(before.place(key, count: 6))
      let new = Set(after.place(key, count: 6))
      moved += new.subtracting(old).count
      if new.contains(node(99).id) { joined += 1 }
    }
    let chunks = Double(extents.count * 6)
    #expect(abs(Double(joined) / chunks - 1.0 / 13) < 0.012)
    #expect(moved == joined, "only what the new store takes moves")
  }

  @Test("stores, then servers, then zones are different while there are enough")
  func spread() {
    // Eight servers of two stores each in four zones.
    let nodes = (0..<16).map { node($0, server: $0 / 2, zone: "z\($0 / 4)") }
    let ring = PlacementRing(nodes: nodes, width: 6)
    for key in keys(3000) {
      let stores = ring.place(key, count: 6)
      #expect(Set(stores).count == 6)
      let spread = ring.spread(of: stores)
      #expect(spread.servers == 6 && spread.zones == 4 && spread.largestOnOneServer == 1)
    }
  }

  @Test(
    "with fewer servers than chunks they share evenly",
    arguments: [(5, 2), (4, 2), (3, 2), (2, 3), (1, 6)])
  func fewServers(servers: Int, largest: Int) {
    let nodes = (0..<12).map { node($0, server: $0 % servers) }
    let ring = PlacementRing(nodes: nodes, width: 6)
    for key in keys(500) {
      let stores = ring.place(key, count: 6)
      let spread = ring.spread(of: stores)
      #expect(Set(stores).count == 6)
      #expect(spread.servers == servers && spread.largestOnOneServer == largest)
    }
  }

  @Test("servers of unequal size do not keep the rest from sharing the load")
  func lopsidedServers() {
    let sizes = [5, 1, 1]
    var nodes: [PlacementNode] = []
    for (server, size) in sizes.enumerated() {
      for _ in 0..<size { nodes.append(node(nodes.count, server: server)) }
    }
    let ring = PlacementRing(nodes: nodes, width: 6)
    for key in keys(200) {
      #expect(ring.spread(of: ring.place(key, count: 6)).largestOnOneServer == 4)
    }
  }

  @Test("stores that drain or do not answer get nothing")
  func inactive() {
    var nodes = (0..<8).map { node($0) }
    nodes[2].state = .draining
    nodes[5].state = .inactive
    let ring = PlacementRing(nodes: nodes, width: 6)
    for key in keys(500) {
      let stores = ring.place(key, count: 6)
      #expect(stores.count == 6 && !stores.contains(nodes[2].id) && !stores.contains(nodes[5].id))
    }
  }

  @Test("with too few stores there are fewer places, with none there are none")
  func tooFew() {
    let ring = PlacementRing(nodes: (0..<4).map { node($0) }, width: 6)
    #expect(ring.place(ExtentID(high: 1, low: 2), count: 6).count == 4)
    let empty = PlacementRing(nodes: [], width: 6)
    #expect(empty.place(ExtentID(high: 1, low: 2), count: 6).isEmpty)
    #expect(empty.place(ExtentID(high: 1, low: 2), count: 0).isEmpty)
  }

  @Test("a replacement goes to a store and server that the extent does not use")
  func replacement() throws {
    let nodes = (0..<16).map { node($0, server: $0 / 2) }
    let ring = PlacementRing(nodes: nodes, width: 6)
    for key in keys(500) {
      let stores = ring.place(key, count: 6)
      let lost = try #require(stores.first)
      let kept = Array(stores.dropFirst())
      let found = ring.place(key, count: 1, beside: kept, avoiding: [lost])
      let store = try #require(found.first)
      #expect(found.count == 1 && !stores.contains(store))
      #expect(ring.spread(of: kept + found).servers == 6)
    }
  }

  @Test("the order in which nodes are given does not matter")
  func order() {
    var nodes = (0..<12).map { node($0, weight: 50 + $0 * 10) }
    let ring = PlacementRing(nodes: nodes, width: 6)
    var random = SeededRandom(seed: 5)
    nodes.shuffle(using: &random)
    let other = PlacementRing(nodes: nodes + [nodes[0]], width: 6)
    for key in keys(300) { #expect(ring.place(key, count: 6) == other.place(key, count: 6)) }
  }
}
