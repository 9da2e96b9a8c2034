import Base
import ChunkStore
import Metadata
import TestSupport

/// What the guards between gateways and storage servers may not keep from being served.
extension SimulationWorld {
  /// What the guards of all gateways have done.
  struct GuardCounts: Sendable {
    var openings = 0
    var refusals = 0
    var hedges = 0
  }

  /// Whether a gateway could always reach more than enough servers, so that nothing that it does
  /// may fail for want of them.
  func isServed(_ gateway: SimulatedGateway) -> Bool {
    if gateway.process.isDead || gateway.wasStopped { return false }
    // It writes to no server that nobody has heard of lately before it has asked it.
    if scheduler.nanoseconds - gateway.started < 15_000_000_000 { return false }
    let harmed = zip(servers, gateway.linkFaults).filter { $0.wasHarmed || $1.wasHarmed }
    return harmed.count <= Self.scheme.parity
  }

  /// All harm is over: each gateway that lived through it asks all servers again, and reads
  /// everything, without being started anew.
  func checkRecovery(_ bucket: Bucket, _ contents: SimulationContents) async {
    let reader = SimulatedClient(98, world: self, contents: contents, bucket: bucket)
    for gateway in gateways.compactMap({ $0 }) {
      for _ in 0..<18 where !openBreakers(gateway).isEmpty { await sleep(.seconds(10)) }
      for address in openBreakers(gateway) {
        violation("gateway \(gateway.slot) does not ask \(address) any more")
      }
      for key in 0..<plan.keys { await reader.get(key, gateway, whole: true) }
    }
  }

  private func openBreakers(_ gateway: SimulatedGateway) -> [String] {
    let breakers = gateway.guards.breakers
    return servers.filter { server in
      guard !server.isGone, let breaker = breakers[server.serverID] else { return false }
      return breaker.state != .closed
    }.map(\.address)
  }

  /// Adds up what the guards have done.
  func countGuards() {
    for gateway in lives {
      guards.hedges += gateway.engine.pace.counts.hedges
      for breaker in gateway.guards.breakers.values {
        guards.openings += breaker.counts.openings
        guards.refusals += breaker.counts.refusals
      }
    }
  }
}
