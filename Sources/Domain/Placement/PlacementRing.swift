internal import Base

/// A consistent hash ring: says which stores take the chunks of an extent.
///
/// The answer depends on nothing but the active nodes, the width and the extent; it is the same in
/// every process and every release. Immutable, usable from any thread.
public struct PlacementRing: Sendable {
  /// Virtual nodes of a store of ordinary weight.
  static let pointsPerOrdinaryStore = 1024

  /// All nodes, in the order of their ids.
  public let nodes: [PlacementNode]
  /// The number of chunks of an extent that the shares are balanced for.
  public let width: Int

  /// The active nodes; those below are indices into it.
  let active: [PlacementNode]
  let serverOfNode: [Int]
  let zoneOfNode: [Int]
  /// How many servers the active nodes are of.
  public let serverCount: Int
  let zoneCount: Int
  private let points: [UInt64]
  private let owners: [UInt32]

  /// Builds the ring for extents of `width` chunks.
  ///
  /// Of nodes with the same id the first counts. Precondition: `width` is positive.
  public init(nodes: [PlacementNode], width: Int) {
    precondition(width > 0, "an extent has chunks")
    var known = Set<StoreID>()
    let distinct = nodes.filter { known.insert($0.id).inserted }.sorted { $0.id < $1.id }
    self.nodes = distinct
    self.width = width
    let active = distinct.filter { $0.state == .active }
    self.active = active
    (serverOfNode, serverCount) = Self.number(active.map(\.server))
    (zoneOfNode, zoneCount) = Self.number(active.map(\.zone))
    let counts = PlacementShares.pointCounts(
      weights: active.map(\.weight), servers: serverOfNode, serverCount: serverCount, width: width)
    var ring: [(point: UInt64, owner: UInt32)] = []
    ring.reserveCapacity(counts.reduce(0, +))
    for (owner, count) in counts.enumerated() {
      let id = active[owner].id
      for number in 0..<count {
        ring.append(
          (PlacementHash.point(high: id.high, low: id.low, number: number), UInt32(owner)))
      }
    }
    // Two points at one place are as good as impossible; the order of the ids decides.
    ring.sort { ($0.point, $0.owner) < ($1.point, $1.owner) }
    points = ring.map(\.point)
    owners = ring.map(\.owner)
  }

  private static func number(_ names: [String]) -> ([Int], Int) {
    var numbers: [String: Int] = [:]
    var assigned: [Int] = []
    for name in names {
      let number = numbers[name] ?? numbers.count
      numbers[name] = number
      assigned.append(number)
    }
    return (assigned, numbers.count)
  }

  /// Starts at the extent's place on the ring.
  func walk(from key: ExtentID) -> PlacementWalk {
    let place = PlacementHash.key(high: key.high, low: key.low)
    var low = 0
    var high = points.count
    while low < high {
      let middle = low + (high - low) / 2
      if points[middle] < place { low = middle + 1 } else { high = middle }
    }
    return PlacementWalk(owners: owners, position: low, nodeCount: active.count)
  }
}

/// Meets each active node once, in the order of the ring.
struct PlacementWalk {
  private let owners: [UInt32]
  private var position: Int
  private var left: Int
  private var isMet: [Bool]
  /// The nodes met so far.
  private(set) var met: [Int] = []

  init(owners: [UInt32], position: Int, nodeCount: Int) {
    self.owners = owners
    self.position = position
    left = nodeCount
    isMet = Array(repeating: false, count: nodeCount)
  }

  /// The node that is met as number `index`, counted from 0; nil when there are no more.
  mutating func node(_ index: Int) -> Int? {
    while met.count <= index {
      guard left > 0 else { return nil }
      if position == owners.count { position = 0 }
      let owner = Int(owners[position])
      position += 1
      guard !isMet[owner] else { continue }
      isMet[owner] = true
      left -= 1
      met.append(owner)
    }
    return met[index]
  }
}
