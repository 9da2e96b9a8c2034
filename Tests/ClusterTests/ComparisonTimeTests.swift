import Base
import ChunkStore
import Cluster
import Metadata
import Runtime
import Synchronization
import Testing

@Suite("When stores are compared with the metadata")
struct ComparisonTimeTests {
  /// Puts the first chunk of an extent where no row says that it is, besides where it belongs.
  private func makeStray(_ extent: Extent, in cluster: TestCluster) async throws -> ServerStore {
    let source = try #require(cluster.server(of: extent.stores[0])?.stores[0].inner)
    let target = try #require(
      cluster.servers.first { !extent.stores.contains($0.stores[0].id) }?.stores[0])
    let chunk = ChunkID(extent: extent.id, index: 0)
    try await withTaskExecutorPreference(TestCluster.pool) {
      let status = try await source.stat(chunk)
      let reader = try await source.openChunk(chunk)
      let buffer = AlignedBuffer(count: 64 << 10)
      try await reader.read(0..<status.trailer.dataLength, into: buffer, at: 0)
      reader.close()
      try await target.inner.putSmall(
        status.header, data: buffer, range: 0..<status.trailer.dataLength,
        trailer: status.trailer)
    }
    #expect(try await cluster.differences() == Differences(missing: 0, strays: 1))
    return target
  }

  @Test("once in a period, also when another gateway leads every half of it")
  func leaders() async throws {
    let cluster = try await TestCluster(seed: 21, servers: 7)
    let period: Int64 = 400
    var isTidy = false
    for number in 0..<5 where !isTidy {
      let leader = try await cluster.gateway { $0.comparisonPeriod = .seconds(period) }
      try await leader.live(period / 2)
      if number == 0 {
        let extent = try #require(await leader.put("key"))
        _ = try await makeStray(extent, in: cluster)
      }
      isTidy = try await cluster.isTidy()
      // None before the first period is over.
      if number == 0 { #expect(!isTidy) }
    }
    #expect(isTidy)
    await cluster.close()
  }

  @Test("a store whose walk failed is walked again long before the next period")
  func failure() async throws {
    let cluster = try await TestCluster(seed: 22, servers: 7)
    let period: Int64 = 1200
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(period) }
    try await gateway.live(5)
    let extent = try #require(await gateway.put("key"))
    let store = try await makeStray(extent, in: cluster)
    store.failsLists.withLock { $0 = true }
    var failures = 0
    for _ in 0..<((period + 100) / 5) {
      do { try await gateway.live(5) } catch let error as ChunkStoreError {
        #expect(error == .io("no list"))
        failures += 1
      }
    }
    // It is not asked all the time either.
    #expect((1...2).contains(failures))
    store.failsLists.withLock { $0 = false }
    try await gateway.live(300)
    #expect(try await cluster.isTidy())
    await cluster.close()
  }
}
