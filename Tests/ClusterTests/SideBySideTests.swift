import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Small extents that are moved side by side")
struct SideBySideTests {
  @Test("small extents are moved to a server that joins side by side")
  func rebalance() async throws {
    let cluster = try await TestCluster(seed: 41, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(30)
    let joined = try cluster.makeServer()
    try await cluster.join(joined)
    let meeting = Meeting(of: 2, in: cluster)
    try await gateway.live { try await gateway.administration.rebalance().isBalanced }
    #expect(meeting.arrived > 2)
    #expect(try await joined.chunks().count > 0)
    #expect(try await gateway.readsAll(30))
    try await gateway.live { try await cluster.isTidy() }
    await cluster.close()
  }

  @Test("an extent that another task is at work on is moved after those beside it")
  func busy() async throws {
    let cluster = try await TestCluster(seed: 42, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(30)
    try await cluster.join(try cluster.makeServer())
    cluster.time.advance(5)
    try await gateway.beat()
    let ring = gateway.engine.stores.ring
    // The first one that is to be moved is among those that are moved together.
    let extent = try #require(
      try await cluster.extents().first { Set($0.stores) != Set(ring.place($0.id, count: 6)) })
    let wanted = ring.place(extent.id, count: 6)
    let index = try #require(extent.stores.firstIndex { wanted.contains($0) })
    let lost = try #require(cluster.server(of: extent.stores[index])?.stores[0])
    try await lost.inner.delete([ChunkID(extent: extent.id, index: UInt8(index))])
    let worker = try #require(gateway.work.workers.first { $0.name == "rebalance" })
    lost.onPut.withLock {
      $0 = {
        lost.onPut.withLock { $0 = nil }
        try? await gateway.run("rebalance")
      }
    }
    let outcome = try await withTaskExecutorPreference(TestCluster.pool) {
      try await gateway.work.repairer.repair(extent.id, chunks: 1 << UInt32(index))
    }
    #expect(outcome == .repaired(chunks: 1 << UInt32(index)))
    #expect(worker.progress.itemsDone > 0)
    try await gateway.live { try await gateway.administration.rebalance().isBalanced }
    try await gateway.live { try await cluster.isTidy() }
    for extent in try await cluster.extents() {
      #expect(Set(extent.stores) == Set(ring.place(extent.id, count: 6)))
    }
    await cluster.close()
  }

  @Test("small extents that shared stores are spread side by side")
  func spread() async throws {
    let cluster = try await TestCluster(seed: 43, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    let away = cluster.servers[1]
    away.stop()
    cluster.time.advance(40)
    try await gateway.beat()
    try await gateway.putMany(6)
    #expect(try await gateway.store.counts().underSpread == 6)
    away.start()
    let meeting = Meeting(of: 2, in: cluster)
    try await gateway.live { try await gateway.store.counts().underSpread == 0 }
    #expect(meeting.arrived >= 6)
    try await gateway.live { try await cluster.isTidy() }
    #expect(try await gateway.readsAll(6))
    await cluster.close()
  }
}
