import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Testing

@Suite("What looking for losses costs")
struct LossWalkTests {
  /// Five seconds later: the statements of the worker's steps.
  private func statements(
    _ gateway: TestGateway, _ beating: [TestGateway]? = nil
  ) async throws -> [String] {
    gateway.cluster.time.advance(5)
    for other in beating ?? [gateway] { try await other.beat() }
    return try await gateway.driver.counting { try await gateway.run("losses") }
  }

  /// How many of them read extents page by page.
  private func pages(_ statements: [String]) -> Int {
    statements.count { $0.hasPrefix("SELECT e.id, e.data_count") }
  }

  @Test("while nothing changes a look is one statement, and reads no extents")
  func steady() async throws {
    let cluster = try await TestCluster(seed: 41, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(10)
    for _ in 0..<10 {
      let made = try await statements(gateway)
      #expect(made.count == 1 && pages(made) == 0, "\(made)")
    }
    await cluster.close()
  }

  @Test("a change of members is walked for once, and once more when all writers go by it")
  func writers() async throws {
    let cluster = try await TestCluster(seed: 42, servers: 6)
    let gateway = try await cluster.gateway()
    let other = try await cluster.gateway()
    try await gateway.live(10)
    try await other.beat()
    try await gateway.putMany(10)
    let spare = try cluster.makeServer()
    try await gateway.membership.register(spare.registration())
    // The other gateway goes by the former ring for now: it may place chunks by it.
    #expect(pages(try await statements(gateway)) > 0)
    for _ in 0..<4 {
      let made = try await statements(gateway)
      #expect(pages(made) == 0 && made.count <= 3, "\(made)")
    }
    #expect(pages(try await statements(gateway, [other, gateway])) > 0)
    for _ in 0..<4 {
      let made = try await statements(gateway, [other, gateway])
      #expect(made.count == 1, "\(made)")
    }
    await cluster.close()
  }

  @Test("servers that an operator has to decide on are asked about once")
  func undecided() async throws {
    let cluster = try await TestCluster(seed: 43, servers: 9)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(10)
    for number in 0..<4 { cluster.servers[number].stop() }
    try await gateway.live(1200)
    func detail() -> String? {
      gateway.work.workers.first { $0.name == "losses" }?.progress.detail
    }
    for _ in 0..<4 {
      let made = try await statements(gateway)
      #expect(made.count == 1, "\(made)")
      #expect(detail()?.contains("2 more servers") == true, "\(detail() ?? "")")
    }
    // One that was lost is back: another may be taken for lost in its stead.
    let lost = Set(
      try await gateway.store.members().stores.filter { $0.state == .lost }.map(\.server))
    let back = try #require(cluster.servers.first { lost.contains($0.id) })
    back.start()
    try await gateway.live {
      let stores = try await gateway.store.members().stores
      return stores.contains { $0.server == back.id && $0.state == .active }
        && stores.count { $0.state == .lost } == 2
    }
    #expect(detail()?.contains("1 more server") == true, "\(detail() ?? "")")
    await cluster.close()
  }
}
