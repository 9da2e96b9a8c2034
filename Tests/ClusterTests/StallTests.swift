import Base
import ChunkStore
import Cluster
import ObjectEngine
import Synchronization
import Testing

@Suite("Stores whose writes hang though they say that they are well")
struct StallTests {
  @Test("such a store rests longer each time before chunks are placed on it, and is read all along")
  func rests() async throws {
    let cluster = try await TestCluster(seed: 41, servers: 8)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let stores = gateway.engine.stores
    let bad = cluster.servers[0].stores[0].id
    func isChosen() throws -> Bool {
      try (UInt64(0)..<64).contains { number in
        let extent = ExtentID(epoch: 1, random: (1, number))
        return try stores.place(extent, scheme: cluster.scheme).contains(bad)
      }
    }
    func rest() throws -> Int64 {
      stores.note(.offline("no answer in time"), of: bad)
      // Other writes that began before are given up at the same time.
      stores.note(.offline("no answer in time"), of: bad)
      // The next poll finds it well.
      stores.observe(.active, of: bad)
      var seconds: Int64 = 0
      while try !isChosen() {
        #expect(stores.state(of: bad) == .active)
        cluster.time.advance(1)
        seconds += 1
      }
      return seconds
    }
    #expect(try isChosen())
    #expect(try (0..<6).map { _ in try rest() } == [5, 10, 20, 40, 60, 60])
    // One that did well for a while begins anew.
    cluster.time.advance(60)
    #expect(try rest() == 5)
    await cluster.close()
  }

  @Test("where too few others are left it is written to all the same")
  func lastResort() async throws {
    let cluster = try await TestCluster(seed: 42, servers: 3)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let stores = gateway.engine.stores
    for server in cluster.servers {
      stores.note(.offline("no answer in time"), of: server.stores[0].id)
      stores.observe(.active, of: server.stores[0].id)
    }
    try await gateway.put("key")
    #expect(try await gateway.reads("key"))
    await cluster.close()
  }
}
