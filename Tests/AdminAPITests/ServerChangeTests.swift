import Base
import ChunkStore
import Metadata
import Runtime
import Testing

/// Weights and replacements of storage servers and stores, and the orders that are refused.
struct ServerChangeTests {
  /// The weights of a server's stores, by id.
  private func weights(
    of server: FakeServer, _ site: ClusterSite, _ client: AdminTestClient
  ) async throws -> [String: Int64] {
    let stores = try await site.listed(server, client)["stores"]?.elements ?? []
    return Dictionary(
      stores.map { ($0["id"]?.text ?? "", $0["weight"]?.integer ?? 0) },
      uniquingKeysWith: { first, _ in first })
  }

  @Test("A weight is given to one store or to all of a server, and goes into the ring")
  func weight() async throws {
    let site = try await ClusterSite(seed: 211, servers: 6, storesEach: 2)
    let server = site.cluster.servers[1]
    let (first, second) = (server.stores[0].id, server.stores[1].id)
    try await site.serving { root in
      let all = try await root.fetch(
        "POST", "servers/\(server.id)/weight", json: "{\"weight\":10000}")
      #expect(all["id"]?.text == "\(server.id)")
      let both: [String: Int64] = ["\(first)": 10_000, "\(second)": 10_000]
      #expect(try await weights(of: server, site, root) == both)
      let one = try await root.fetch("POST", "stores/\(second)/weight", json: "{\"weight\":1}")
      #expect(one["id"]?.text == "\(second)")
      let changed: [String: Int64] = ["\(first)": 10_000, "\(second)": 1]
      #expect(try await weights(of: server, site, root) == changed)
      #expect(site.gateway.engine.stores.ring.node(second)?.weight == 1)
      for target in ["servers/\(server.id)/weight", "stores/\(second)/weight"] {
        for json in [
          "{}", "{\"weight\":0}", "{\"weight\":10001}", "{\"weight\":-1}", "{\"weight\":null}",
          "{\"weight\":1.5}", "{\"weight\":\"5\"}", "{\"weight\":5,\"by\":\"x\"}", "[]", "5",
        ] {
          try await root.expect(400, "invalid_request", "POST", target, json: json)
        }
      }
      #expect(try await weights(of: server, site, root) == changed)
      let others = try await weights(of: site.cluster.servers[0], site, root)
      #expect(Array(others.values) == [100, 100])
    }
  }

  @Test("A new server takes the place and the weight of an old one, which leaves")
  func replaceServer() async throws {
    let site = try await ClusterSite(seed: 212, servers: 6)
    let old = site.cluster.servers[2]
    let new = try site.cluster.makeServer()
    try await site.serving { root in
      try await site.gateway.live(5)
      try await site.gateway.putMany(5)
      _ = try await root.fetch("POST", "servers/\(old.id)/weight", json: "{\"weight\":70}")
      let path = "servers/\(old.id)/replace"
      let by = "{\"by\":\"\(new.id)\"}"
      try await root.expect(404, "not_found", "POST", path, json: by)
      try await site.cluster.join(new)
      try await root.expect(409, "conflict", "POST", path, json: "{\"by\":\"\(old.id)\"}")
      let done = try await root.fetch("POST", path, json: by)
      #expect(done["id"]?.text == "\(old.id)")
      #expect(try await site.listed(old, root)["state"]?.text == "left")
      #expect(try await weights(of: new, site, root) == ["\(new.stores[0].id)": 70])
      try await site.settle()
      #expect(try await site.cluster.named()[old.stores[0].id] == nil)
      #expect(try await site.gateway.readsAll(5))
    }
  }

  @Test("A new store takes the place and the weight of another one, which leaves")
  func replaceStore() async throws {
    let site = try await ClusterSite(seed: 213, servers: 6, storesEach: 2)
    let server = site.cluster.servers[4]
    let (old, new) = (server.stores[0].id, server.stores[1].id)
    try await site.serving { root in
      _ = try await root.fetch("POST", "stores/\(old)/weight", json: "{\"weight\":30}")
      let path = "stores/\(old)/replace"
      try await root.expect(409, "conflict", "POST", path, json: "{\"by\":\"\(old)\"}")
      let done = try await root.fetch("POST", path, json: "{\"by\":\"\(new)\"}")
      #expect(done["id"]?.text == "\(old)")
      #expect(try await weights(of: server, site, root) == ["\(new)": 30])
      // What has left takes no place.
      let back = "stores/\(new)/replace"
      try await root.expect(409, "conflict", "POST", back, json: "{\"by\":\"\(old)\"}")
    }
  }

  @Test("Orders for what is not there, and orders that are none, are refused and change nothing")
  func refused() async throws {
    let site = try await ClusterSite(seed: 214, servers: 6)
    let server = site.cluster.servers[0]
    let store = server.stores[0].id
    let nobody = ServerID(high: 1, low: 2)
    try await site.serving { root in
      let before = try await root.fetch("GET", "servers")
      let weight = "{\"weight\":5}"
      for id in ["x", "0", "\(server.id)0", "not%20hex"] {
        for (method, path, json) in [
          ("DELETE", "servers/\(id)", nil), ("POST", "servers/\(id)/drain", nil),
          ("POST", "servers/\(id)/weight", weight), ("POST", "stores/\(id)/weight", weight),
          ("POST", "servers/\(server.id)/replace", "{\"by\":\"\(id)\"}"),
          ("POST", "stores/\(store)/replace", "{\"by\":\"\(id)\"}"),
        ] {
          try await root.expect(400, "invalid_request", method, path, json: json)
        }
      }
      for (method, path, query, json) in [
        ("DELETE", "servers/\(nobody)", "", nil),
        ("DELETE", "servers/\(nobody)", "force=true", nil),
        ("POST", "servers/\(nobody)/drain", "", nil),
        ("POST", "servers/\(nobody)/undrain", "", nil),
        ("POST", "servers/\(nobody)/lost", "", nil),
        ("POST", "servers/\(nobody)/weight", "", weight),
        ("POST", "stores/\(nobody)/weight", "", weight),
        ("POST", "servers/\(nobody)/replace", "", "{\"by\":\"\(server.id)\"}"),
        ("POST", "stores/\(nobody)/replace", "", "{\"by\":\"\(store)\"}"),
        // Methods and words that are none.
        ("GET", "servers/\(server.id)", "", nil), ("POST", "servers", "", nil),
        ("PUT", "servers/\(server.id)/drain", "", nil), ("GET", "stores", "", nil),
        ("POST", "servers/\(server.id)/promote", "", nil),
        ("POST", "servers/\(server.id)/drain/now", "", nil), ("DELETE", "stores/\(store)", "", nil),
        ("POST", "stores/\(store)/drain", "", nil),
      ] {
        try await root.expect(404, "not_found", method, path, query: query, json: json)
      }
      for word in ["drain", "undrain", "lost", "replace"] {
        try await root.expect(
          400, "invalid_request", "POST", "servers/\(server.id)/\(word)", json: "{\"force\":1}")
      }
      for path in ["servers/\(server.id)/replace", "stores/\(store)/replace"] {
        for json in ["{}", "{\"by\":1}", "{\"by\":null}", "{\"by\":\"\(server.id)\",\"to\":1}"] {
          try await root.expect(400, "invalid_request", "POST", path, json: json)
        }
      }
      #expect(try await root.fetch("GET", "servers") == before)
    }
  }

  @Test("Storage servers are for administrators only, and where there are none they are 404")
  func guarded() async throws {
    let server = ServerID(high: 1, low: 2)
    let requests = [
      ("GET", "servers"), ("DELETE", "servers/\(server)"), ("POST", "servers/\(server)/drain"),
      ("POST", "servers/\(server)/lost"), ("POST", "stores/\(server)/weight"),
    ]
    let site = try await ClusterSite(seed: 215, servers: 1)
    try await site.serving { _ in try await site.site.expectGuarded(requests) }
    let alone = try AdminFixture()
    try await alone.serving { root in
      for (method, path) in requests {
        try await root.expect(404, "not_provided", method, path)
      }
    }
  }
}
