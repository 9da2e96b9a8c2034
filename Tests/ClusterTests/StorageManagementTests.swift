import Base
import ChunkStore
import Cluster
import Erasure
import Metadata
import ObjectEngine
import Placement
import Runtime
import Testing

@Suite("Storage management")
struct StorageManagementTests {
  @Test("the hash ring is refreshed in every gateway when a server registers with one")
  func ringRefresh() async throws {
    let cluster = try await TestCluster(seed: 1, servers: 6)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    let before = first.engine.stores.ringVersion
    #expect(second.engine.stores.ringVersion == before)
    let server = try cluster.makeServer()
    try await first.membership.register(server.registration())
    #expect(first.engine.stores.ringVersion > before)
    #expect(first.engine.stores.ring.node(server.stores[0].id)?.state == .active)
    #expect(second.engine.stores[server.stores[0].id] == nil)
    cluster.time.advance(10)
    try await second.run("membership")
    #expect(second.engine.stores.ringVersion == first.engine.stores.ringVersion)
    #expect(second.engine.stores[server.stores[0].id] != nil)
    await cluster.close()
  }

  @Test("a gateway that knows too few stores for a write looks often whether others have joined")
  func firstServers() async throws {
    let cluster = try await TestCluster(seed: 27, servers: 5)
    let gateway = try await cluster.gateway()
    let worker = try #require(gateway.work.workers.first { $0.name == "membership" })
    #expect(try await worker.step() == .idle(nextAfter: .seconds(2)))
    try await cluster.join(try cluster.makeServer())
    // The next look finds the server, and from then on it has time.
    #expect(try await worker.step() == .idle(nextAfter: .seconds(10)))
    #expect(gateway.engine.stores.all.count == 6)
    await cluster.close()
  }

  @Test("heartbeats are recorded by the database's time, for all servers that answer")
  func heartbeat() async throws {
    let cluster = try await TestCluster(seed: 2, servers: 40)
    let gateway = try await cluster.gateway()
    cluster.servers[3].stop()
    let joined = cluster.time.wall.now
    cluster.time.advance(10)
    try await gateway.run("membership")
    let members = try await gateway.store.members()
    #expect(members.servers.count == 40)
    for server in members.servers {
      let isDown = server.id == cluster.servers[3].id
      #expect(server.lastHeartbeat == (isDown ? joined : cluster.time.wall.now))
    }
    for store in members.stores {
      let isDown = store.server == cluster.servers[3].id
      #expect(store.lastSeen == (isDown ? joined : cluster.time.wall.now))
    }
    await cluster.close()
  }

  @Test("a server that does not answer is inactive and not written to, until it answers again")
  func inactive() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 7)
    let gateway = try await cluster.gateway()
    let away = cluster.servers[2]
    away.stop()
    cluster.time.advance(40)
    try await gateway.beat()
    let status = try #require(
      await gateway.administration.servers().first { $0.record.id == away.id })
    #expect(status.heartbeatAge == .seconds(40))
    guard case .inactive = status.health else {
      Issue.record("\(status.health)")
      return
    }
    try await gateway.putMany(20)
    #expect(try await cluster.named()[away.stores[0].id] == nil)
    // Another gateway, which has asked nobody yet, knows it from the heartbeats.
    let other = try await cluster.gateway()
    #expect(other.engine.stores.state(of: away.stores[0].id) == .offline)
    away.start()
    try await gateway.run("membership")
    #expect(gateway.engine.stores.state(of: away.stores[0].id) == .active)
    await cluster.close()
  }

  @Test("a server that answers as another, or of another installation, counts as offline")
  func impostor() async throws {
    let cluster = try await TestCluster(seed: 4, servers: 6)
    let gateway = try await cluster.gateway()
    let server = cluster.servers[1]
    server.claim.withLock { $0 = ServerID(high: 1, low: 1) }
    try await gateway.run("membership")
    #expect(gateway.engine.stores.state(of: server.stores[0].id) == .offline)
    await cluster.close()
  }

  @Test("a server that hangs does not hold up the others")
  func hung() async throws {
    let cluster = try await TestCluster(seed: 10, servers: 6)
    let gateway = try await cluster.gateway { $0.heartbeatInterval = .seconds(2) }
    let server = cluster.servers[4]
    server.isHung.withLock { $0 = true }
    try await gateway.run("membership")
    #expect(gateway.engine.stores.state(of: server.stores[0].id) == .offline)
    #expect(
      gateway.work.workers[0].progress.detail == "5 of 6 storage servers answer")
    server.isHung.withLock { $0 = false }
    try await gateway.run("membership")
    #expect(gateway.engine.stores.state(of: server.stores[0].id) == .active)
    await cluster.close()
  }

  @Test("a server that is added at run time gets new chunks, and its share of the old ones")
  func dynamicAddition() async throws {
    let cluster = try await TestCluster(seed: 5, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(60)
    let server = try cluster.makeServer()
    try await gateway.membership.register(server.registration())
    let store = server.stores[0].id
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await cluster.isTidy()
    }
    // 60 extents of 6 chunks on 8 servers: 45 each.
    let share = try await cluster.named()[store] ?? 0
    #expect((30...60).contains(share), "\(share)")
    #expect(try await gateway.readsAll(60))
    try await gateway.putMany(60)
    #expect(try await cluster.named()[store] ?? 0 > 0)
    await cluster.close()
  }

  @Test("any two of six servers gone: reads and writes go on, never more than two chunks on one")
  func failover() async throws {
    let cluster = try await TestCluster(seed: 6, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.run("membership")
    try await gateway.putMany(5)
    for first in 0..<6 {
      for second in 0..<first {
        cluster.servers[first].stop()
        cluster.servers[second].stop()
        try await gateway.run("membership")
        #expect(try await gateway.readsAll(5))
        let extent = try #require(await gateway.put("pair-\(first)-\(second)"))
        let perStore = Dictionary(grouping: extent.stores, by: { $0 }).mapValues(\.count)
        #expect(perStore.count == 4)
        #expect(perStore.values.allSatisfy { $0 <= 2 })
        cluster.servers[first].start()
        cluster.servers[second].start()
      }
    }
    try await gateway.run("membership")
    try await gateway.live { try await gateway.store.counts().underSpread == 0 }
    await cluster.close()
  }

  @Test("chunks are distributed within 10 % of fair by weight over 12 servers of three weights")
  func distribution() async throws {
    let cluster = try await TestCluster(seed: 7, servers: 0)
    let weights = [100, 150, 200]
    for number in 0..<12 {
      try await cluster.join(try cluster.makeServer(), weight: weights[number % 3])
    }
    let gateway = try await cluster.gateway()
    var counts: [StoreID: Int] = [:]
    let extents = 20_000
    for _ in 0..<extents {
      let places = try gateway.engine.stores.place(
        gateway.engine.writer.nextExtent(), scheme: .standard)
      #expect(Set(places).count == 6)
      for place in places { counts[place, default: 0] += 1 }
    }
    for (number, server) in cluster.servers.enumerated() {
      let fair = Double(extents * 6) * Double(weights[number % 3]) / Double(4 * 450)
      let found = Double(counts[server.stores[0].id] ?? 0)
      #expect(abs(found / fair - 1) < 0.1, "\(found) of \(fair)")
    }
    await cluster.close()
  }

  @Test("a server is removed once it is drained, or by force, and is not part of the ring then")
  func removal() async throws {
    let cluster = try await TestCluster(seed: 8, servers: 8)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(20)
    let (drained, dead) = (cluster.servers[0], cluster.servers[1])
    let administration = gateway.administration
    await #expect(throws: ClusterAdministrationError.notDrained) {
      try await administration.remove(drained.id, force: false)
    }
    try await administration.drain(drained.id)
    try await gateway.live {
      try await administration.servers().first { $0.record.id == drained.id }?.isDrained == true
    }
    try await administration.remove(drained.id, force: false)
    dead.stop()
    try await gateway.run("membership")
    try await administration.remove(dead.id, force: true)
    for server in [drained, dead] {
      #expect(gateway.engine.stores.ring.node(server.stores[0].id) == nil)
      #expect(gateway.engine.stores[server.stores[0].id] == nil)
    }
    try await gateway.live {
      let named = try await cluster.named()
      return named[drained.stores[0].id] == nil && named[dead.stores[0].id] == nil
    }
    #expect(try await gateway.readsAll(20))
    await cluster.close()
  }

  @Test("when a server joins, about one n-th of the chunks moves, and only to it")
  func stability() async throws {
    let cluster = try await TestCluster(seed: 9, servers: 11)
    let gateway = try await cluster.gateway()
    let extents = (0..<5000).map { _ in gateway.engine.writer.nextExtent() }
    let before = try extents.map { try gateway.engine.stores.place($0, scheme: .standard) }
    let server = try cluster.makeServer()
    try await gateway.membership.register(server.registration())
    var moved = 0
    var elsewhere = 0
    for (extent, former) in zip(extents, before) {
      let row = Extent(
        id: extent, dataCount: 4, parityCount: 2, plaintextLength: 1, transform: 0,
        wrappedKey: [], stores: former, digests: [])
      let targets = RebalancePlan(row, stores: gateway.engine.stores).targets
      moved += targets.count
      elsewhere += targets.values.filter { $0 != server.stores[0].id }.count
    }
    let share = Double(moved) / Double(extents.count * 6)
    #expect(abs(share * 12 - 1) < 0.15, "\(share)")
    #expect(Double(elsewhere) < 0.05 * Double(moved), "\(elsewhere) of \(moved)")
    await cluster.close()
  }
}

extension StorageManagementTests {
  @Test(
    "what was written while a zone was away, or a server of several disks, is spread behind it",
    arguments: [true, false])
  func spreadBehindOutage(_ hasZones: Bool) async throws {
    let cluster = try await TestCluster(seed: 31, servers: 0)
    let usual = hasZones ? 2 : 1
    for number in 0..<(hasZones ? 9 : 6) {
      let server = try cluster.makeServer(
        stores: hasZones ? 1 : 2, zone: hasZones ? "zone-\(number % 3)" : "")
      try await cluster.join(server)
    }
    let gateway = try await cluster.gateway()
    try await gateway.beat()
    func largest() async throws -> Int {
      let ring = gateway.engine.stores.ring
      return try await cluster.extents().map { extent in
        let spread = ring.spread(of: extent.stores)
        return hasZones ? spread.largestInOneZone : spread.largestOnOneServer
      }.max() ?? 0
    }
    try await gateway.putMany(4)
    #expect(try await largest() == usual)
    #expect(try await gateway.store.counts().underSpread == 0)
    let away = cluster.servers.filter { hasZones ? $0.zone == "zone-1" : $0 === cluster.servers[1] }
    for server in away { server.stop() }
    cluster.time.advance(40)
    try await gateway.beat()
    for number in 10..<16 { try await gateway.put("key-\(number)") }
    #expect(try await largest() == usual + 1)
    #expect(try await gateway.store.counts().underSpread > 0)
    for server in away { server.start() }
    try await gateway.live { try await gateway.store.counts().underSpread == 0 }
    #expect(try await largest() == usual)
    try await gateway.live { try await cluster.isTidy() }
    for number in 10..<16 { #expect(try await gateway.reads("key-\(number)")) }
    await cluster.close()
  }
}
