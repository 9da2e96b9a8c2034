import Base
import ChunkStore
import Cluster
import Runtime
import Testing

/// What administrators see of storage servers, and what they do with them, over a real cluster.
struct ServerEndpointTests {
  @Test("Servers are listed with what the metadata and the gateway know of them and their stores")
  func list() async throws {
    let site = try await ClusterSite(seed: 201, servers: 6, storesEach: 2)
    let (cluster, gateway) = (site.cluster, site.gateway)
    try await gateway.live(5)
    try await gateway.putMany(10)
    try await site.serving { root in
      let away = cluster.servers[2]
      away.stop()
      cluster.time.advance(40)
      try await gateway.run("membership")
      let all = try await site.listed(root)
      #expect(all.count == 6)
      let known = Dictionary(
        uniqueKeysWithValues: try await gateway.administration.servers().flatMap(\.stores).map {
          ("\($0.record.id)", $0)
        })
      for server in cluster.servers {
        let found = try #require(all["\(server.id)"])
        let isAway = server.id == away.id
        #expect(found["address"]?.text == server.address)
        #expect(found["zone"]?.text == "" && found["version"]?.text == "1")
        #expect(found["state"]?.text == "active")
        #expect(found["health"]?.text == (isAway ? "inactive" : "active"))
        #expect(found["reason"]?.text?.isEmpty == !isAway)
        #expect(found["heartbeat_age_seconds"]?.integer == (isAway ? 40 : 0))
        let stores = try #require(found["stores"]?.elements)
        #expect(Set(stores.compactMap { $0["id"]?.text }) == Set(server.stores.map { "\($0.id)" }))
        var chunks: Int64 = 0
        for store in stores {
          #expect(store["health"]?.text == (isAway ? "offline" : "active"))
          #expect(store["weight"]?.integer == 100)
          let heard = try #require(known[store["id"]?.text ?? ""])
          #expect(store["capacity"]?.integer == heard.capacity && heard.capacity > 0)
          #expect(store["used"]?.integer == heard.used && store["free"]?.integer == heard.free)
          chunks += try #require(store["chunks"]?.integer)
        }
        if !isAway { #expect(chunks == Int64(try await server.chunks().count)) }
      }
      #expect(try await cluster.extents().count == 10)
    }
  }

  @Test("How far the work behind a change of members is stands with the list of servers")
  func progress() async throws {
    let site = try await ClusterSite(seed: 202, servers: 7)
    try await site.serving { root in
      let before = try await root.fetch("GET", "servers")
      #expect(before["balanced"]?.bool == false)
      try await site.settle()
      try await site.gateway.putMany(5)
      let settled = try await root.fetch("GET", "servers")
      #expect(settled["balanced"]?.bool == true && settled["repairs"]?.integer == 0)
      let ring = try #require(settled["ring_version"]?.integer)
      #expect(ring == site.gateway.engine.stores.ringVersion)
      let lost = site.cluster.servers[1]
      let bears = try await site.cluster.named()[lost.stores[0].id]
      lost.stop()
      try await site.gateway.run("membership")
      _ = try await root.fetch("POST", "servers/\(lost.id)/lost")
      try await site.gateway.beat()
      try await site.gateway.run("losses")
      let after = try await root.fetch("GET", "servers")
      #expect(after["balanced"]?.bool == false)
      #expect(after["ring_version"]?.integer ?? 0 > ring)
      #expect(after["repairs"]?.integer == bears.map(Int64.init))
    }
  }

  @Test("A server is drained, is not removed before it is empty, and has left then")
  func drain() async throws {
    let site = try await ClusterSite(seed: 203, servers: 8)
    let server = site.cluster.servers[3]
    try await site.serving { root in
      try await site.gateway.live(5)
      try await site.gateway.putMany(10)
      func state() async throws -> String? { try await site.listed(server, root)["state"]?.text }
      try await root.expect(409, "conflict", "POST", "servers/\(server.id)/undrain")
      let begun = try await root.fetch("POST", "servers/\(server.id)/drain")
      #expect(begun["id"]?.text == "\(server.id)")
      #expect(try await state() == "draining")
      try await root.expect(409, "not_drained", "DELETE", "servers/\(server.id)")
      // Only that word is meant as one.
      try await root.expect(
        409, "not_drained", "DELETE", "servers/\(server.id)", query: "force=yes")
      _ = try await root.fetch("POST", "servers/\(server.id)/undrain")
      #expect(try await state() == "active")
      _ = try await root.fetch("POST", "servers/\(server.id)/drain")
      try await site.gateway.live { try await state() == "drained" }
      #expect(try await server.chunks().isEmpty)
      let gone = try await root.fetch("DELETE", "servers/\(server.id)")
      #expect(gone["id"]?.text == "\(server.id)" && gone["state"]?.text == "left")
      let left = try await site.listed(server, root)
      #expect(left["state"]?.text == "left" && left["health"]?.text == "left")
      #expect(left["stores"]?.elements?.isEmpty == true)
      try await root.expect(409, "conflict", "POST", "servers/\(server.id)/drain")
      #expect(try await site.gateway.readsAll(10))
    }
  }

  @Test("By force a server leaves with its chunks, which are made again elsewhere")
  func force() async throws {
    let site = try await ClusterSite(seed: 204, servers: 8)
    try await site.serving { root in
      try await site.gateway.live(5)
      try await site.gateway.putMany(10)
      let dead = site.cluster.servers[0]
      dead.stop()
      try await site.gateway.run("membership")
      try await root.expect(409, "not_drained", "DELETE", "servers/\(dead.id)")
      _ = try await root.fetch("DELETE", "servers/\(dead.id)", query: "force=true")
      #expect(try await site.listed(dead, root)["state"]?.text == "left")
      try await site.gateway.live {
        try await site.cluster.named()[dead.stores[0].id] == nil
      }
      #expect(try await site.gateway.readsAll(10))
    }
  }

  @Test("A server that does not answer is declared lost, one that answers is not")
  func lost() async throws {
    let site = try await ClusterSite(seed: 205, servers: 7)
    try await site.serving { root in
      try await site.gateway.live(5)
      let server = site.cluster.servers[5]
      try await root.expect(409, "conflict", "POST", "servers/\(server.id)/lost")
      #expect(try await site.listed(server, root)["health"]?.text == "active")
      server.stop()
      try await site.gateway.run("membership")
      #expect(try await site.listed(server, root)["health"]?.text == "inactive")
      _ = try await root.fetch("POST", "servers/\(server.id)/lost")
      let found = try await site.listed(server, root)
      #expect(found["health"]?.text == "lost" && found["state"]?.text == "active")
    }
  }
}
