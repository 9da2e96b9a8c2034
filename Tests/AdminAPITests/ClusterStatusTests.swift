import Base
import Testing

/// What `GET status` tells of a cluster.
struct ClusterStatusTests {
  @Test("Status tells the members of a cluster, and which losses of servers and zones it bears")
  func members() async throws {
    let site = try await ClusterSite(seed: 221, servers: 6, zones: ["a", "b", "c"])
    let cluster = site.cluster
    try await site.serving { root in
      try await site.settle()
      let status = try await root.fetch("GET", "status")
      let members = try #require(status["members"])
      #expect(members["answering"]?.integer == 6)
      #expect(members["balanced"]?.bool == true && members["leads"]?.bool == true)
      #expect(members["ring_version"]?.integer == site.gateway.engine.stores.ringVersion)
      let servers = try #require(members["servers"]?.elements)
      #expect(
        Set(servers.compactMap { $0["id"]?.text }) == Set(cluster.servers.map { "\($0.id)" }))
      for server in servers {
        #expect(server["state"]?.text == "active" && server["health"]?.text == "active")
        #expect(server["reason"]?.text == "" && server["stores"] == nil)
        let known = cluster.servers.first { "\($0.id)" == server["id"]?.text }
        #expect(server["address"]?.text == known?.address && server["zone"]?.text == known?.zone)
      }
      let domain = try #require(status["failure_domain"])
      #expect(
        domain["summary"]?.text
          == "six stores, six servers, three zones: survives the loss of any one zone")
      #expect(domain["stores"]?.integer == 6 && domain["servers"]?.integer == 6)
      #expect(domain["zones"]?.integer == 3 && domain["settled"]?.bool == true)
      #expect(domain["tolerable_server_losses"]?.integer == 2)
      #expect(domain["tolerable_zone_losses"]?.integer == 1)
      #expect(domain["devices"] == nil)
      // Stores whose devices nobody names count as devices of their own.
      #expect(Set(status["stores"]?.elements?.map { $0["device"] } ?? []).count == 6)
      #expect(status["change_log"] == .null)
    }
  }

  @Test("A zone that is away is lost already, and what waits for repair is not settled")
  func away() async throws {
    let site = try await ClusterSite(seed: 222, servers: 6, zones: ["a", "b", "c"])
    try await site.serving { root in
      try await site.settle()
      try await site.gateway.putMany(5)
      let away = site.cluster.servers.filter { $0.zone == "b" }
      for server in away { server.stop() }
      try await site.gateway.run("membership")
      let status = try await root.fetch("GET", "status")
      #expect(status["members"]?["answering"]?.integer == 4)
      let domain = try #require(status["failure_domain"])
      #expect(domain["settled"]?.bool == true)
      #expect(domain["tolerable_server_losses"]?.integer == 0)
      #expect(domain["tolerable_zone_losses"]?.integer == 0)
      #expect(
        domain["summary"]?.text?.hasSuffix("not everything survives the loss of a server") == true)
      let states = status["stores"]?.elements?.compactMap { $0["state"]?.text } ?? []
      #expect(states.sorted() == ["active", "active", "active", "active", "offline", "offline"])
      // What is written meanwhile lies closer together than it should.
      try await site.gateway.put("meanwhile")
      let spread = try await root.fetch("GET", "status")
      #expect(spread["failure_domain"]?["settled"]?.bool == false)
      #expect(spread["counts"]?["under_spread"]?.integer == 1)
    }
  }

  @Test("What is to be repaired or moved is not settled, and nothing is said to be survived then")
  func unsettled() async throws {
    let site = try await ClusterSite(seed: 224, servers: 7)
    try await site.serving { root in
      try await site.settle()
      let extent = try #require(try await site.gateway.put("key"))
      func domain() async throws -> JSONValue {
        try #require(try await root.fetch("GET", "status")["failure_domain"])
      }
      #expect(try await domain()["settled"]?.bool == true)
      try await site.gateway.store.queueRepairs([(extent: extent.id, chunks: 1)], reason: "test")
      let queued = try await domain()
      #expect(queued["settled"]?.bool == false)
      #expect(queued["tolerable_server_losses"]?.integer == 0)
      #expect(queued["summary"]?.text?.contains("survives the loss") == false)
      try await site.settle()
      #expect(try await domain()["settled"]?.bool == true)
      // A server that joins takes its share of what lies elsewhere so far.
      let new = try site.cluster.makeServer()
      try await site.gateway.membership.register(new.registration())
      let joined = try await domain()
      #expect(joined["servers"]?.integer == 8 && joined["settled"]?.bool == false)
      try await site.settle()
      #expect(try await domain()["settled"]?.bool == true)
      let moved = try #require(try await site.cluster.extents().first)
      let holder = try #require(site.cluster.server(of: moved.stores[0]))
      holder.stop()
      try await site.gateway.run("membership")
      _ = try await root.fetch("POST", "servers/\(holder.id)/lost")
      try await site.gateway.beat()
      try await site.gateway.run("losses")
      let after = try await root.fetch("GET", "status")
      #expect(after["members"]?["balanced"]?.bool == false)
      #expect(after["failure_domain"]?["settled"]?.bool == false)
      #expect(after["failure_domain"]?["tolerable_server_losses"]?.integer == 0)
      #expect(after["counts"]?["repairs"]?.integer == 1)
    }
  }

  @Test("A server that has left is no member any more")
  func left() async throws {
    let site = try await ClusterSite(seed: 223, servers: 7)
    try await site.serving { root in
      try await site.settle()
      let gone = site.cluster.servers[6]
      _ = try await root.fetch("DELETE", "servers/\(gone.id)", query: "force=true")
      try await site.settle()
      let status = try await root.fetch("GET", "status")
      let ids = status["members"]?["servers"]?.elements?.compactMap { $0["id"]?.text } ?? []
      #expect(Set(ids) == Set(site.cluster.servers.dropLast().map { "\($0.id)" }))
      #expect(status["members"]?["answering"]?.integer == 6)
      #expect(
        status["failure_domain"]?["summary"]?.text
          == "six stores, six servers: survives the loss of any two servers")
    }
  }
}
