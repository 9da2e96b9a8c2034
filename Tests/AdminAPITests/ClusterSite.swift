import AdminAPI
import Base
import Cluster
import Runtime
import Testing

/// Storage servers, one gateway over them whose workers a test runs, and its Admin API.
struct ClusterSite: Sendable {
  let cluster: TestCluster
  let gateway: TestGateway
  let site: AdminSite

  /// The servers lie in `zones`, in turn, and have so many stores each.
  init(seed: UInt64, servers: Int, storesEach: Int = 1, zones: [String] = [""]) async throws {
    cluster = try await TestCluster(seed: seed, servers: 0)
    for number in 0..<servers {
      try await cluster.join(
        try cluster.makeServer(stores: storesEach, zone: zones[number % zones.count]))
    }
    gateway = try await cluster.gateway()
    var providers = AdminProviders(
      installation: FakeProcess(), scrubbing: nil, workers: nil, backups: nil, masterKey: nil)
    providers.servers = gateway.work.cluster?.administration
    site = try AdminSite(gateway.engine, providers)
  }

  /// Serves for as long as `body` runs, and ends the cluster.
  func serving(
    _ body: @escaping @Sendable (AdminTestClient) async throws -> Void
  ) async throws {
    try await site.serving(body)
    await cluster.close()
  }

  /// Lives until all chunks are where the ring wants them.
  func settle() async throws {
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await gateway.store.counts().repairs == 0
    }
  }

  /// The servers as `GET servers` tells them, by id.
  func listed(_ client: AdminTestClient) async throws -> [String: JSONValue] {
    let list = try #require(try await client.fetch("GET", "servers")["servers"]?.elements)
    return Dictionary(
      list.map { ($0["id"]?.text ?? "", $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// One of them.
  func listed(_ server: FakeServer, _ client: AdminTestClient) async throws -> JSONValue {
    try #require(try await listed(client)["\(server.id)"])
  }
}
