import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Recovery
import Runtime
import TestSupport

/// The loss of the whole database, and its making again out of the stores.
extension SimulationWorld {
  /// What is known of a loss once it is over.
  struct Loss {
    /// When it was.
    var stamp: UInt64
    /// Chunks in quarantine, and where they lay.
    var survivors: [(chunk: ChunkID, server: SimulatedServer)] = []
  }

  /// All gateways die, the database is gone, and a rebuild makes another; gateways are not started.
  /// Nothing happens before a snapshot is complete that the log goes on from.
  func loseDatabase() async {
    await waitForLater()
    guard loss == nil, await isLogInForce() else { return }
    note("harm: the database is lost")
    for slot in gateways.indices { gateways[slot]?.crash() }
    loss = Loss(stamp: scheduler.stamp())
    let dead = gateways.compactMap { $0 }
    for slot in gateways.indices { gateways[slot] = nil }
    for gateway in dead { await gateway.end() }
    do {
      try database.lose()
      try await Migrations.apply(to: ObservingDriver(database))
      let absent = pick(3) == 0 ? await dispensable() : nil
      absent?.crash(power: SeededRandom(seed: random.next()))
      // What it writes is written by nobody else: the observer is no writer.
      let target = SQLMetadataStore(driver: ObservingDriver(database), random: random)
      let report = try await rebuild(target, absent: absent)
      note(
        """
        rebuilt without \(absent.map { "\($0.id.low)" } ?? "loss"): \(report.rows) rows of snapshot \
        \(report.snapshot), \(report.transactions) transactions, \
        \(report.reconciliation.quarantined) extents in quarantine
        """)
      if report.unreadablePieces > 0 { violation("pieces of the log cannot be read: \(report)") }
      await SimulationMutation.harmQuarantine(self)
      await noteSurvivors()
      if let absent { later { absent.start() } }
    } catch {
      violation("the database cannot be made again: \(error)")
    }
  }

  private func isLogInForce() async -> Bool {
    guard let log = try? await observer.changeLogID(), !log.isEmpty,
      let snapshots = try? await observer.snapshots()
    else { return false }
    return snapshots.contains { $0.isComplete && $0.log == log }
  }

  /// Fills an empty database with what the servers have that are not gone.
  func rebuild(
    _ target: SQLMetadataStore, absent: SimulatedServer? = nil
  ) async throws -> RebuildReport {
    let network = SimulatedNetwork(
      self, process: SimulatedProcess(), faults: servers.map { _ in LinkFaults() })
    var stores: [any ChunkStore] = []
    var nodes: [PlacementNode] = []
    for server in servers where joined.contains(server.serverID) && server !== absent {
      let connection = network.connect(to: server.address, server: server.serverID)
      guard (try? await connection.health()) != nil else { continue }
      stores.append(connection.store(server.id))
      nodes.append(PlacementNode(id: server.id, server: "\(server.serverID)"))
    }
    let ring = PlacementRing(nodes: nodes, width: max(1, nodes.count))
    return try await MetadataRebuild(
      target: target, stores: StoreSet(stores: stores, ring: ring), master: master,
      cluster: cluster, pool: pool, clock: SimulatedWallClock(scheduler), random: random,
      log: .none
    ).run()
  }

  /// A server without which all that the system keeps about itself is there; nil for none.
  private func dispensable() async -> SimulatedServer? {
    var places: [ExtentID: [StoreID: Int]] = [:]
    for server in servers {
      for chunk in await chunks(of: server) where SystemExtentID.isReserved(chunk.extent) {
        places[chunk.extent, default: [:]][server.id, default: 0] += 1
      }
    }
    let able = servers.filter { server in
      guard server.life != nil, joined.contains(server.serverID) else { return false }
      return places.allSatisfy { extent, counts in
        guard counts[server.id] != nil else { return true }
        var needed = 1
        if case .snapshot? = SystemExtentID(extent) { needed = Self.scheme.data }
        return counts.reduce(0) { $0 + ($1.key == server.id ? 0 : $1.value) } >= needed
      }
    }
    return able.isEmpty ? nil : able[pick(able.count)]
  }

  /// All chunks of a server that is there.
  func chunks(of server: SimulatedServer) async -> [ChunkID] {
    guard let store = server.life?.store else { return [] }
    var found: [ChunkID] = []
    var position: ChunkListPosition?
    repeat {
      guard let page = try? await store.list(from: position, limit: 100) else {
        violation("store \(server.id.low) does not list its chunks")
        return found
      }
      found += page.chunks
      position = page.next
    } while position != nil
    return found
  }

  /// Whatever no row names is in quarantine, and lies where it did.
  private func noteSurvivors() async {
    let quarantined = Set(
      ((try? await observer.quarantined(after: nil, limit: 10_000)) ?? []).map(\.id))
    for server in servers where joined.contains(server.serverID) {
      let chunks = await chunks(of: server).filter { !SystemExtentID.isReserved($0.extent) }
      let named = (try? await observer.named(among: Array(Set(chunks.map(\.extent))))) ?? []
      for chunk in chunks {
        if !named.contains(chunk.extent) {
          violation("chunk \(chunk) of \(server.id.low) is not in quarantine after the rebuild")
        }
        if quarantined.contains(chunk.extent) { loss?.survivors.append((chunk, server)) }
      }
    }
  }
}
