import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Placement
import Runtime
import Testing

@Suite("Loss and return of servers")
struct LossTests {
  private func states(_ gateway: TestGateway) async throws -> [ServerID: Set<StoreRecord.State>] {
    var result: [ServerID: Set<StoreRecord.State>] = [:]
    for store in try await gateway.store.members().stores {
      result[store.server, default: []].insert(store.state)
    }
    return result
  }

  private func lost(_ gateway: TestGateway) async throws -> Int {
    try await states(gateway).values.count { $0.contains(.lost) }
  }

  @Test("a server that is away for 15 minutes is lost, and its chunks are made again elsewhere")
  func grace() async throws {
    let cluster = try await TestCluster(seed: 1, servers: 8)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(15)
    let away = cluster.servers[0]
    away.stop()
    try await gateway.live(890)
    #expect(try await lost(gateway) == 0)
    try await gateway.live(30)
    #expect(try await lost(gateway) == 1)
    try await gateway.live {
      try await cluster.named()[away.stores[0].id] == nil
    }
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(try await gateway.readsAll(15))
    #expect(try await cluster.underSpread() == 0)
    await cluster.close()
  }

  @Test("with six servers the chunks of a lost one double up, never more than two on one")
  func sixServers() async throws {
    let cluster = try await TestCluster(seed: 2, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(10)
    let away = cluster.servers[4]
    away.stop()
    try await gateway.live {
      try await cluster.named()[away.stores[0].id] == nil
    }
    for extent in try await cluster.extents() {
      let most = Dictionary(grouping: extent.stores, by: { $0 }).values.map(\.count).max()
      #expect(most == 2)
    }
    #expect(try await gateway.readsAll(10))
    // It returns: compared with the metadata, it gets its share again and holds nothing else.
    away.start()
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      guard try await cluster.underSpread() == 0 else { return false }
      return try await cluster.isTidy()
    }
    #expect(try await lost(gateway) == 0)
    #expect(try await cluster.named()[away.stores[0].id] == 10)
    #expect(try await gateway.readsAll(10))
    await cluster.close()
  }

  @Test("a database outage of 15 minutes makes nobody dead, though servers were away meanwhile")
  func databaseOutage() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(3)
    gateway.driver.isReachable.withLock { $0 = false }
    cluster.servers[1].stop()
    for _ in 0..<200 {
      cluster.time.advance(5)
      await #expect(throws: MetadataError.self) { try await gateway.run("membership") }
    }
    gateway.driver.isReachable.withLock { $0 = true }
    try await gateway.live(60)
    #expect(try await lost(gateway) == 0)
    cluster.servers[1].start()
    try await gateway.live(60)
    #expect(try await lost(gateway) == 0)
    #expect(try await gateway.store.counts().repairs == 0)
    await cluster.close()
  }

  @Test("a gateway that was paused for an hour takes nobody for dead when it wakes")
  func pause() async throws {
    let cluster = try await TestCluster(seed: 4, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    cluster.servers[0].stop()
    cluster.servers[1].stop()
    try await gateway.live(10)
    cluster.time.advance(3600)
    try await gateway.live(60)
    #expect(try await lost(gateway) == 0)
    await cluster.close()
  }

  @Test("no more than two servers are taken for lost without an operator")
  func limit() async throws {
    let cluster = try await TestCluster(seed: 5, servers: 9)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    for number in 0..<4 { cluster.servers[number].stop() }
    try await gateway.live(1200)
    #expect(try await lost(gateway) == 2)
    let detail = gateway.work.workers.first { $0.name == "losses" }?.progress.detail
    #expect(detail?.contains("2 more servers") == true, "\(detail ?? "")")
    let states = try await states(gateway)
    let third = try #require(
      cluster.servers[..<4].first { states[$0.id]?.contains(.lost) == false })
    try await gateway.administration.declareLost(third.id)
    #expect(try await lost(gateway) == 3)
    await #expect(throws: ClusterAdministrationError.self) {
      try await gateway.administration.declareLost(cluster.servers[8].id)
    }
    await cluster.close()
  }

  @Test("a store that returns empty is filled again; a disk is replaced by one operation")
  func replacedDisk() async throws {
    let cluster = try await TestCluster(seed: 6, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(12)
    let server = cluster.servers[2]
    server.stores[0].isBroken.withLock { $0 = true }
    let spare = try cluster.makeServer()
    try await gateway.membership.register(spare.registration(weight: 50))
    try await gateway.administration.replaceStore(
      server.stores[0].id, with: spare.stores[0].id)
    let members = try await gateway.store.members()
    #expect(members.stores.first { $0.id == spare.stores[0].id }?.weight == 100)
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await gateway.store.counts().repairs == 0
    }
    #expect(try await cluster.named()[server.stores[0].id] == nil)
    #expect(try await cluster.named()[spare.stores[0].id] ?? 0 > 0)
    #expect(try await gateway.readsAll(12))
    await cluster.close()
  }

  @Test("a server is replaced by one operation")
  func replacedServer() async throws {
    let cluster = try await TestCluster(seed: 7, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(8)
    let old = cluster.servers[5]
    old.stop()
    let new = try cluster.makeServer()
    try await gateway.membership.register(new.registration())
    try await gateway.administration.replaceServer(old.id, with: new.id)
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await cluster.named()[new.stores[0].id] == 8
    }
    let status = try await gateway.administration.servers()
    #expect(status.first { $0.record.id == old.id }?.health == .left)
    #expect(try await gateway.readsAll(8))
    await cluster.close()
  }
}
