import Base
import ChunkStore
import Cluster
import Erasure
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Drain, return and strays")
struct StrayTests {
  @Test("a drain ends with an empty server, once every gateway goes by the new ring")
  func drain() async throws {
    let cluster = try await TestCluster(seed: 1, servers: 7)
    let (leader, other) = (try await cluster.gateway(), try await cluster.gateway())
    try await leader.live(5)
    try await other.beat()
    try await leader.putMany(12)
    let server = cluster.servers[3]
    try await leader.administration.drain(server.id)
    // The other gateway still writes by the former ring: a write of its that runs holds the drain.
    let token = other.engine.writes.begin(at: cluster.time.wall.now)
    for _ in 0..<60 {
      try await leader.live(5)
      try await other.beat()
    }
    #expect(other.engine.stores.ringVersion == leader.engine.stores.ringVersion)
    var status = try await leader.administration.rebalance()
    #expect(status.acknowledgedRing < status.ringVersion)
    #expect(!status.isBalanced)
    other.engine.writes.end(token)
    for _ in 0..<60 {
      try await leader.live(5)
      try await other.beat()
    }
    status = try await leader.administration.rebalance()
    #expect(status.isBalanced)
    #expect(try await server.chunks().isEmpty)
    #expect(
      try await leader.administration.servers().first { $0.record.id == server.id }?.isDrained
        == true)
    try await leader.putMany(6)
    #expect(try await server.chunks().isEmpty)
    #expect(try await leader.readsAll(12))
    await cluster.close()
  }

  @Test("what the system keeps about itself is no stray, and moves away from a drained server")
  func systemChunks() async throws {
    let cluster = try await TestCluster(seed: 10, servers: 7)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    try await gateway.live(5)
    let extent = try #require(await gateway.put("key"))
    let server = try #require(cluster.server(of: extent.stores[0]))
    let own = ChunkID(extent: SystemExtentID.changeLog(last: 7).id(random: 1), index: 0)
    let scheme = try #require(ErasureScheme(data: 1, parity: 0))
    // A piece that some other stores have too.
    let copies = cluster.servers.filter { $0.id != server.id }.prefix(2) + [server]
    try await withTaskExecutorPreference(TestCluster.pool) {
      let bytes = [UInt8](repeating: 7, count: 5000)
      let buffer = AlignedBuffer(count: 8192)
      buffer.copy(bytes)
      let digester = ChunkDigester(id: own)
      unsafe buffer.withBytes(0..<bytes.count) { unsafe digester.append($0) }
      let trailer = digester.finish(
        extentLength: bytes.count, storedLength: bytes.count, wrappedKey: [], descriptor: [])
      for copy in copies {
        try await copy.stores[0].inner.putSmall(
          ChunkHeader(id: own, scheme: scheme, cluster: cluster.id), data: buffer,
          range: 0..<bytes.count, trailer: trailer)
      }
    }
    try await gateway.live(120)
    #expect(try await server.chunks().contains(own))
    try await gateway.administration.drain(server.id)
    try await gateway.live {
      try await gateway.administration.servers().first { $0.record.id == server.id }?.isDrained
        == true
    }
    #expect(try await server.chunks().isEmpty)
    var holders = 0
    for other in cluster.servers where try await other.chunks().contains(own) {
      holders += 1
      try await withTaskExecutorPreference(TestCluster.pool) {
        try await other.stores[0].inner.verify(own)
      }
    }
    #expect(holders == copies.count)
    await cluster.close()
  }

  @Test("a drain whose leader dies in the middle is ended by the next one")
  func handover() async throws {
    let cluster = try await TestCluster(seed: 11, servers: 8)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    try await first.live(5)
    try await second.beat()
    try await first.putMany(200, size: 400)
    let server = cluster.servers[2]
    try await first.administration.drain(server.id)
    let before = try await cluster.named()[server.stores[0].id] ?? 0
    try await second.beat()
    try await first.beat()
    let worker = try #require(first.work.workers.first { $0.name == "rebalance" })
    try await withTaskExecutorPreference(TestCluster.pool) {
      while worker.progress.itemsDone < before / 2 { _ = try await worker.step() }
    }
    // Copies that only the first knew of lie where no row names them.
    #expect(try await cluster.differences().strays > 0)
    try await second.live {
      try await second.administration.servers().first { $0.record.id == server.id }?.isDrained
        == true
    }
    #expect(try await server.chunks().isEmpty)
    #expect(try await cluster.isTidy())
    #expect(try await second.readsAll(200, size: 400))
    await cluster.close()
  }

  @Test("a drain that is taken back leaves the server in use")
  func undo() async throws {
    let cluster = try await TestCluster(seed: 2, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(10)
    let server = cluster.servers[0]
    try await gateway.administration.drain(server.id)
    try await gateway.live(5)
    try await gateway.administration.undoDrain(server.id)
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await cluster.isTidy()
    }
    #expect(try await cluster.named()[server.stores[0].id] ?? 0 > 0)
    await cluster.close()
  }

  @Test("a server that returns is compared: strays are deleted, survivors are not")
  func reconciliation() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 8)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(20)
    let away = cluster.servers[6]
    let held = try await away.chunks()
    #expect(!held.isEmpty)
    away.stop()
    // Some objects go while it is away, the chunks of the others move elsewhere.
    for number in 0..<5 { try await gateway.delete("key\(number)") }
    try await gateway.live {
      try await cluster.named()[away.stores[0].id] == nil
    }
    away.start()
    let named = try await cluster.extents()
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await cluster.isTidy()
    }
    #expect(try await cluster.extents().map(\.id) == named.map(\.id))
    for number in 5..<20 { #expect(try await gateway.reads("key\(number)")) }
    await cluster.close()
  }

  @Test("a store that lost chunks while it was away has them made again")
  func lossyReturn() async throws {
    let cluster = try await TestCluster(seed: 4, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(10)
    let away = cluster.servers[1]
    away.stop()
    try await gateway.live(900)
    // It returns before its chunks were made again, without some of them.
    let chunks = try await away.chunks().sorted()
    try await withTaskExecutorPreference(TestCluster.pool) {
      try await away.stores[0].inner.delete(Array(chunks.prefix(4)))
    }
    try await gateway.administration.declareLost(away.id)
    away.start()
    try await gateway.live {
      guard try await gateway.store.counts().repairs == 0 else { return false }
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await cluster.isTidy()
    }
    #expect(try await gateway.readsAll(10))
    await cluster.close()
  }

  @Test("a store that comes back at once is compared with the rows: what it lost is queued")
  func comparison() async throws {
    let cluster = try await TestCluster(seed: 8, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(10)
    let back = cluster.servers[1]
    let chunks = try await back.chunks().sorted()
    try await withTaskExecutorPreference(TestCluster.pool) {
      try await back.stores[0].inner.delete(Array(chunks.prefix(4)))
    }
    try await gateway.store.setStoreState(back.stores[0].id, .lost)
    try await gateway.membership.refresh()
    #expect(gateway.engine.stores.ring.node(back.stores[0].id)?.state == .inactive)
    try await gateway.run("reconcile")
    #expect(gateway.engine.stores.ring.node(back.stores[0].id)?.state == .active)
    let queued = try await gateway.store.repairs(limit: 100)
    #expect(Set(queued.map(\.extent.id)) == Set(chunks.prefix(4).map(\.extent)))
    #expect(queued.allSatisfy { $0.chunks.nonzeroBitCount == 1 })
    try await gateway.run("repair")
    #expect(try await cluster.isTidy())
    await cluster.close()
  }

  @Test(
    "a good chunk is moved by reading it alone, a bad one out of its siblings",
    arguments: [5000, 3_000_000])
  func copying(size: Int) async throws {
    let cluster = try await TestCluster(seed: 9, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(4, size: size)
    let leaving = try #require(
      await cluster.extents().first.flatMap { cluster.server(of: $0.stores[2]) })
    let before = try await cluster.extents().count {
      $0.stores.contains(leaving.stores[0].id)
    }
    for server in cluster.servers { server.stores[0].opened.withLock { $0 = 0 } }
    try await gateway.administration.drain(leaving.id)
    try await gateway.live {
      try await cluster.named()[leaving.stores[0].id] == nil
    }
    for server in cluster.servers {
      let opened = server.stores[0].opened.withLock { $0 }
      #expect(opened == (server.id == leaving.id ? before : 0))
    }
    #expect(try await gateway.readsAll(4, size: size))
    // One that is gone where it should be is made out of the others.
    let second = try #require(
      await cluster.extents().first.flatMap { cluster.server(of: $0.stores[0]) })
    try await gateway.administration.undoDrain(leaving.id)
    try await gateway.administration.drain(second.id)
    let chunks = try await second.chunks().sorted()
    try await withTaskExecutorPreference(TestCluster.pool) {
      try await second.stores[0].inner.delete(Array(chunks.prefix(1)))
    }
    try await gateway.live {
      try await cluster.named()[second.stores[0].id] == nil
    }
    try await gateway.live { try await cluster.isTidy() }
    #expect(try await gateway.readsAll(4, size: size))
    await cluster.close()
  }

  /// Writes a chunk with the bytes of another one of the same store.
  private func copy(_ chunk: ChunkID, to name: ChunkID, at store: LocalChunkStore) async throws {
    try await withTaskExecutorPreference(TestCluster.pool) {
      let status = try await store.stat(chunk)
      let reader = try await store.openChunk(chunk)
      let buffer = AlignedBuffer(count: 64 << 10)
      try await reader.read(0..<status.trailer.dataLength, into: buffer, at: 0)
      reader.close()
      var header = status.header
      header.id = name
      try await store.putSmall(
        header, data: buffer, range: 0..<status.trailer.dataLength, trailer: status.trailer)
    }
  }

  @Test("what a paused gateway wrote after its epoch was swept is found and deleted")
  func lateGarbage() async throws {
    let cluster = try await TestCluster(seed: 5, servers: 6)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    let paused = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(3)
    let extent = try #require(await paused.put("late"))
    for _ in 0..<12 { try await gateway.live(5) }
    #expect(try await gateway.store.unsweptEpochs().isEmpty)
    // As a chunk that was on its way: its bytes are those of a real one, its name is new.
    let source = try #require(cluster.server(of: extent.stores[0])?.stores[0].inner)
    let late = ChunkID(
      extent: ExtentID(epoch: extent.id.epoch, random: (9, 9)), index: 0)
    try await copy(ChunkID(extent: extent.id, index: 0), to: late, at: source)
    // An extent of a live writer that nothing names yet is left alone.
    let young = ChunkID(
      extent: ExtentID(epoch: gateway.engine.writer.epoch, random: (9, 9)), index: 0)
    try await copy(ChunkID(extent: extent.id, index: 0), to: young, at: source)
    #expect(try await cluster.differences().strays == 2)
    try await gateway.live {
      try await cluster.differences() == Differences(missing: 0, strays: 1)
    }
    #expect(try await cluster.server(of: source.id)?.chunks().contains(young) == true)
    #expect(try await gateway.reads("late"))
    await cluster.close()
  }

  @Test("after a restore nothing is taken for a stray")
  func hold() async throws {
    let cluster = try await TestCluster(seed: 6, servers: 7)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    try await gateway.live(5)
    try await gateway.put("key")
    let extent = try #require(await cluster.extents().first)
    try await gateway.store.setSetting(DeletionHold.setting, [1])
    // The row is of an older backup: it does not know where the chunk lies by now.
    let empty = try #require(
      cluster.servers.first { !extent.stores.contains($0.stores[0].id) })
    var stores = extent.stores
    stores[0] = empty.stores[0].id
    #expect(
      try await gateway.store.finishRepair(
        extent.id, chunks: 0, stores: stores, generation: extent.generation))
    try await gateway.live(300)
    #expect(try await cluster.differences() == Differences(missing: 1, strays: 1))
    await cluster.close()
  }

  @Test("weights may change at run time, and chunks follow")
  func weights() async throws {
    let cluster = try await TestCluster(seed: 7, servers: 8)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(40)
    let server = cluster.servers[0]
    let before = try await cluster.named()[server.stores[0].id] ?? 0
    try await gateway.administration.setWeight(ofServer: server.id, 10)
    try await gateway.live { try await gateway.administration.rebalance().isBalanced }
    let after = try await cluster.named()[server.stores[0].id] ?? 0
    #expect(after < before / 2, "\(after) of \(before)")
    await #expect(throws: ClusterAdministrationError.badWeight) {
      try await gateway.administration.setWeight(server.stores[0].id, 0)
    }
    await cluster.close()
  }
}
