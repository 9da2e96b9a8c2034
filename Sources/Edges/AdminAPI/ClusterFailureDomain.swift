import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Placement

/// What a cluster survives, judged by how the ring spreads the chunks of an extent over the servers
/// and zones that there are, and by which of them are away.
struct ClusterFailureDomain: Hashable, Sendable {
  /// A store that the ring places chunks on.
  struct Member: Hashable, Sendable {
    var server: String
    var zone: String
    /// Whether it cannot be read now.
    var isAway = false
  }

  /// What is counted: members of the ring.
  var stores: Int
  var servers: Int
  var zones: Int
  /// Whether all chunks lie where the ring wants them and none is missing.
  var isSettled: Bool
  /// How many of either can be lost now, whichever they are, with everything still readable.
  var tolerableServers: Int
  var tolerableZones: Int

  /// Judges the members of the ring.
  init(_ members: [Member], scheme: ErasureScheme, isSettled: Bool) {
    let bounds = Bounds(members, scheme)
    stores = members.count
    servers = bounds.onServer.count
    zones = bounds.inZone.count
    self.isSettled = isSettled
    let left = scheme.parity - bounds.away
    tolerableServers = isSettled ? Self.tolerable(bounds.onServer.values, left) : 0
    tolerableZones = isSettled ? Self.tolerable(bounds.inZone.values, left) : 0
  }

  /// How many of those that hold at most so many chunks of an extent may be lost, when `left` chunks
  /// may be.
  private static func tolerable(_ loads: some Collection<Int>, _ left: Int) -> Int {
    var lost = 0
    var count = 0
    for load in loads.filter({ $0 > 0 }).sorted(by: >) {
      lost += load
      if lost > left { break }
      count += 1
    }
    return min(count, max(0, loads.count - 1))
  }

  /// One sentence for an operator: of zones where there are some, else of servers.
  var summary: String {
    var place = "\(FailureDomain.count(stores, "store")), \(FailureDomain.count(servers, "server"))"
    if zones > 1 { place += ", \(FailureDomain.count(zones, "zone"))" }
    if servers <= 1 { return "\(place): no protection against its loss" }
    if !isSettled {
      return "\(place): chunks are being made again or moved; what survives is told when they are"
    }
    if zones > 1, tolerableZones > 0 {
      return "\(place): survives the loss of any \(FailureDomain.count(tolerableZones, "zone"))"
    }
    let but = zones > 1 ? ", not of a zone" : ""
    if tolerableServers > 0 {
      return "\(place): survives the loss of any "
        + FailureDomain.count(tolerableServers, "server") + but
    }
    return "\(place): not everything survives the loss of a server"
  }
}

/// How many chunks of an extent lie on a server or in a zone at most, by the rules of the ring and
/// of `StoreSet.place`.
private struct Bounds {
  var onServer: [String: Int] = [:]
  var inZone: [String: Int] = [:]
  /// How many lie at most on all stores together that are away.
  var away = 0

  init(_ members: [ClusterFailureDomain.Member], _ scheme: ErasureScheme) {
    let servers = Dictionary(grouping: members, by: \.server)
    let zones = Dictionary(grouping: members, by: \.zone)
    guard !members.isEmpty else { return }
    /// What each server of some stores takes when none may have more than `limit` chunks.
    func room(_ stores: [ClusterFailureDomain.Member], _ limit: Int) -> Int {
      Dictionary(grouping: stores, by: \.server).values.reduce(0) { $0 + min(limit, $1.count) }
    }
    let total = scheme.total
    let first = max(1, total / servers.count)
    for server in first...max(first, scheme.parity) {
      for zone in max(1, total / zones.count)...max(1, total) {
        /// With the limit before, zones have taken all that they could: that stays.
        func load(_ stores: [ClusterFailureDomain.Member]) -> Int {
          max(server > first ? room(stores, server - 1) : 0, min(zone, room(stores, server)))
        }
        guard zones.values.reduce(0, { $0 + load($1) }) >= total, server <= max(1, scheme.parity)
        else { continue }
        onServer = servers.mapValues { min(server, $0.count) }
        inZone = zones.mapValues { load($0) }
        away = zones.values.reduce(0) { $0 + load($1.filter(\.isAway)) }
        return
      }
    }
    // Too few: chunks share stores.
    let limit = max(1, scheme.parity, (total + servers.count - 1) / servers.count)
    onServer = servers.mapValues { _ in limit }
    inZone = zones.mapValues { min(total, Set($0.map(\.server)).count * limit) }
    away = min(total, Set(members.filter(\.isAway).map(\.server)).count * limit)
  }
}

extension AdminService {
  /// The failure domain of the cluster's present members.
  func clusterDomain(_ counts: MetadataCounts, isBalanced: Bool) -> ClusterFailureDomain {
    let stores = engine.stores
    return ClusterFailureDomain(
      stores.ring.nodes.filter { $0.state == .active }.map { node in
        ClusterFailureDomain.Member(
          server: node.server, zone: node.zone, isAway: stores.state(of: node.id) == .offline)
      }, scheme: engine.configuration.scheme,
      isSettled: isBalanced && counts.repairs == 0 && counts.underSpread == 0)
  }
}
