import Base
import Erasure
import ObjectEngine
import Placement
import Runtime
import Testing

@testable import AdminAPI

/// What a cluster can lose, judged by how the ring spreads chunks.
struct ClusterFailureDomainTests {
  private typealias Member = ClusterFailureDomain.Member

  /// Zones, each as how many stores each of its servers has.
  private static func members(_ zones: [[Int]], away: Set<String> = []) -> [Member] {
    zones.enumerated().flatMap { zone, servers in
      servers.enumerated().flatMap { server, stores in
        (0..<stores).map { _ in
          let name = "\(zone)-\(server)"
          return Member(
            server: name, zone: zones.count > 1 ? "zone-\(zone)" : "",
            isAway: away.contains(name) || away.contains("\(zone)"))
        }
      }
    }
  }

  @Test(
    "Losses that are survived",
    arguments: [
      ([[1, 1, 1], [1, 1, 1], [1, 1, 1]], 2, 1, "survives the loss of any one zone"),
      ([[1, 1], [1, 1], [1, 1]], 2, 1, "survives the loss of any one zone"),
      ([[4, 4], [4, 4], [4, 4]], 2, 1, "survives the loss of any one zone"),
      ([[1], [1], [1], [1], [1], [1]], 2, 2, "survives the loss of any two zones"),
      ([[6], [6], [6]], 1, 1, "survives the loss of any one zone"),
      ([[1], [1], [1]], 1, 1, "survives the loss of any one zone"),
      ([[1, 1, 1], [1, 1, 1]], 2, 0, "survives the loss of any two servers, not of a zone"),
      // One zone is too small for its share, and another has three chunks of an extent.
      ([[1, 1, 1], [1, 1, 1], [1]], 2, 0, "survives the loss of any two servers, not of a zone"),
      ([[1, 1, 1, 1, 1, 1]], 2, 0, "survives the loss of any two servers"),
      ([[1, 1, 1]], 1, 0, "survives the loss of any one server"),
      ([[1, 1]], 0, 0, "not everything survives the loss of a server"),
      ([[3], [3]], 0, 0, "not everything survives the loss of a server"),
      ([[6]], 0, 0, "no protection against its loss"),
      ([], 0, 0, "no protection against its loss"),
    ])
  func losses(_ zones: [[Int]], _ servers: Int, _ tolerable: Int, _ summary: String) {
    let domain = ClusterFailureDomain(
      Self.members(zones), scheme: .standard, isSettled: true)
    #expect(domain.tolerableServers == servers)
    #expect((zones.count > 1 ? domain.tolerableZones : 0) == tolerable)
    #expect(domain.summary.hasSuffix(": " + summary), "\(domain.summary)")
  }

  @Test("What is away is lost already, and what is on the move proves nothing")
  func away() throws {
    let zones = [[1, 1, 1], [1, 1, 1], [1, 1, 1]]
    func domain(_ away: Set<String>, settled: Bool = true) -> ClusterFailureDomain {
      ClusterFailureDomain(
        Self.members(zones, away: away), scheme: .standard, isSettled: settled)
    }
    #expect(domain(["0"]).tolerableZones == 0 && domain(["0"]).tolerableServers == 0)
    #expect(domain(["0-0"]).tolerableZones == 0 && domain(["0-0"]).tolerableServers == 1)
    #expect(domain([], settled: false).tolerableZones == 0)
    #expect(!domain([], settled: false).summary.contains("survives the loss"))
    #expect(domain([]).summary.hasPrefix("9 stores, 9 servers, three zones: "))
  }

  @Test(
    "No placement has more chunks in a zone or on a server than is judged by", arguments: 0..<30)
  func bounds(seed: UInt64) throws {
    let random = SeededRandom(seed: seed)
    let zones = (0..<(2 + Int(random.next() % 5))).map { _ in
      (0..<(1 + Int(random.next() % 4))).map { _ in 1 + Int(random.next() % 3) }
    }
    let members = Self.members(zones)
    let nodes = members.map {
      PlacementNode(
        id: StoreID(high: random.next(), low: random.next()), server: $0.server, zone: $0.zone,
        weight: 50 + Int(random.next() % 200))
    }
    let ring = PlacementRing(nodes: nodes, width: 6)
    let domain = ClusterFailureDomain(members, scheme: .standard, isSettled: true)
    for _ in 0..<200 {
      let extent = ExtentID(high: random.next(), low: random.next())
      let stores = try #require(StoreSet.ideal(extent, scheme: .standard, ring: ring))
      let found = stores.compactMap { ring.node($0) }
      func most(_ count: Int, _ name: (PlacementNode) -> String) -> Int {
        Dictionary(grouping: found, by: name).values.map(\.count).sorted(by: >)
          .prefix(count).reduce(0, +)
      }
      #expect(most(domain.tolerableZones, \.zone) <= 2, "\(zones)")
      #expect(most(domain.tolerableServers, \.server) <= 2, "\(zones)")
    }
  }
}
