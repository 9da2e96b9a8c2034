import Base
import ChunkStore
import Cluster
import Metadata
import Synchronization
import Testing

/// Copies that no read needs, and whose stores do not delete them when asked.
@Suite("Postponed copies")
struct PostponedCopyTests {
  /// Whether `servers` delete chunks.
  private func letDelete(_ answer: Bool, _ servers: [FakeServer]) {
    for store in servers.flatMap(\.stores) {
      store.onDelete.withLock { hook in
        hook = nil
        guard !answer else { return }
        hook = { chunks throws(ChunkStoreError) in throw .offline("away") }
      }
    }
  }

  @Test("a former copy goes as soon as its store deletes again", arguments: [false, true])
  func former(isStopped: Bool) async throws {
    let cluster = try await TestCluster(seed: 41, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(12)
    let servers = cluster.servers
    letDelete(false, servers)
    try await cluster.join(try cluster.makeServer())
    try await gateway.live { try await gateway.administration.rebalance().isBalanced }
    try await gateway.live(120)
    let strays = try await cluster.differences().strays
    #expect(strays > 0)
    if isStopped {
      servers[0].stop()
      try await gateway.live(60)
      #expect(try await cluster.differences().strays == strays)
      servers[0].start()
    }
    letDelete(true, servers)
    try await gateway.live(60)
    #expect(try await cluster.isTidy())
    #expect(try await gateway.readsAll(12))
    await cluster.close()
  }

  @Test("what a repair wrote and could not record goes, though nothing ever names it")
  func withdrawn() async throws {
    let cluster = try await TestCluster(seed: 42, servers: 7)
    let gateway = try await cluster.gateway { $0.deletionDelay = .seconds(10) }
    try await gateway.live(10)
    let extent = try #require(try await gateway.put("key"))
    let own = try #require(cluster.server(of: extent.stores[0]))
    let other = try #require(
      cluster.servers.first { !extent.stores.contains($0.stores[0].id) })
    own.stop()
    try await gateway.beat()
    letDelete(false, [other])
    other.stores[0].onPut.withLock { $0 = { try? await gateway.delete("key") } }
    try await gateway.store.queueRepair(extent.id, chunks: 1, reason: "gone")
    try await gateway.run("repair")
    #expect(try await gateway.store.counts().tombstones == 1)
    #expect(try await other.chunks().count == 1)
    own.start()
    try await gateway.live(120)
    #expect(try await other.chunks().count == 1)
    letDelete(true, [other])
    try await gateway.live(60)
    #expect(try await cluster.isTidy())
    #expect(try await gateway.store.counts().tombstones == 0)
    await cluster.close()
  }
}
