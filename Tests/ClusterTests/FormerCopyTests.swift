import Base
import ChunkStore
import Cluster
import Metadata
import Runtime
import Synchronization
import Testing

/// Chunks that move back to a store before what they left there was deleted.
@Suite("Former copies")
struct FormerCopyTests {
  /// Objects, and a server whose chunks have moved away and back while a read ran.
  private struct Returned {
    let cluster: TestCluster
    let gateway: TestGateway
    let server: FakeServer
    /// What it holds.
    let chunks: Set<ChunkID>
    /// The read that held the first deletion up.
    let read: UInt64
  }

  private func returned(seed: UInt64) async throws -> Returned {
    let cluster = try await TestCluster(seed: seed, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(8)
    let server = cluster.servers[2]
    let chunks = try await server.chunks()
    #expect(!chunks.isEmpty)
    let read = gateway.engine.reads.begin(at: cluster.time.wall.now)
    try await gateway.administration.drain(server.id)
    try await gateway.live { try await isNamed(server, in: cluster) == false }
    #expect(try await server.chunks() == chunks)
    try await gateway.administration.undoDrain(server.id)
    try await gateway.live {
      guard try await gateway.administration.rebalance().isBalanced else { return false }
      return try await isNamed(server, in: cluster)
    }
    return Returned(
      cluster: cluster, gateway: gateway, server: server, chunks: chunks, read: read)
  }

  private func isNamed(_ server: FakeServer, in cluster: TestCluster) async throws -> Bool {
    try await cluster.named()[server.stores[0].id] != nil
  }

  @Test("a chunk that moved back stays")
  func back() async throws {
    let made = try await returned(seed: 31)
    #expect(try await made.server.chunks() == made.chunks)
    made.gateway.engine.reads.end(made.read)
    try await made.gateway.live(200)
    #expect(try await made.server.chunks() == made.chunks)
    #expect(try await made.cluster.isTidy())
    #expect(try await made.gateway.readsAll(8))
    await made.cluster.close()
  }

  @Test("one that moved back and away again waits for the reads that began in between")
  func andAway() async throws {
    let made = try await returned(seed: 32)
    let between = made.gateway.engine.reads.begin(at: made.cluster.time.wall.now)
    try await made.gateway.administration.drain(made.server.id)
    try await made.gateway.live { try await isNamed(made.server, in: made.cluster) == false }
    made.gateway.engine.reads.end(made.read)
    try await made.gateway.live(200)
    #expect(try await made.server.chunks() == made.chunks)
    made.gateway.engine.reads.end(between)
    try await made.gateway.live { try await made.cluster.isTidy() }
    #expect(try await made.gateway.readsAll(8))
    await made.cluster.close()
  }

  @Test("one that moved back and was deleted then stays for as long as deleted chunks do")
  func andDeleted() async throws {
    let made = try await returned(seed: 33)
    for number in 0..<8 { try await made.gateway.delete("key\(number)") }
    made.gateway.engine.reads.end(made.read)
    try await made.gateway.live(200)
    #expect(try await made.server.chunks() == made.chunks)
    try await made.gateway.live { try await made.cluster.isTidy() }
    #expect(try await made.server.chunks().isEmpty)
    await made.cluster.close()
  }

  @Test("copies that only a leader knew that died go when their objects are deleted")
  func inherited() async throws {
    let cluster = try await TestCluster(seed: 35, servers: 7)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    try await first.live(5)
    try await second.beat()
    try await first.putMany(40)
    try await cluster.join(try cluster.makeServer())
    let worker = try #require(first.work.workers.first { $0.name == "rebalance" })
    for _ in 0..<30 where worker.progress.itemsDone < 10 {
      cluster.time.advance(5)
      for gateway in [first, second] { try await gateway.beat() }
      try await withTaskExecutorPreference(TestCluster.pool) {
        while worker.progress.itemsDone < 10, case .throttled = try await worker.step() {}
      }
    }
    #expect(try await cluster.differences().strays > 0)
    for number in 0..<40 { try await second.delete("key\(number)") }
    try await second.live { try await second.store.counts().tombstones == 0 }
    #expect(try await cluster.isTidy())
    await cluster.close()
  }

  @Test("once all stores were walked along, chunks are deleted where they are said to be")
  func walked() async throws {
    let cluster = try await TestCluster(seed: 36, servers: 8)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    try await gateway.live(5)
    try await gateway.putMany(8)
    let asked = Mutex(0)
    for server in cluster.servers {
      server.stores[0].onDelete.withLock {
        $0 = { chunks throws(ChunkStoreError) in asked.withLock { $0 += chunks.count } }
      }
    }
    for number in 0..<4 { try await gateway.delete("key\(number)") }
    try await gateway.live(1200)
    #expect(asked.withLock { $0 } == 4 * 6)
    #expect(try await gateway.store.counts().tombstones == 0)
    await cluster.close()
  }

  /// Deletes objects of which former copies wait for a read that runs, and lets time pass until that
  /// has ended and the deletions are due; `body` says what becomes of the server with the copies.
  private func deleted(
    seed: UInt64, _ body: (TestGateway, FakeServer) async throws -> Void
  ) async throws {
    let cluster = try await TestCluster(seed: seed, servers: 7)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    try await gateway.live(1200)
    try await gateway.putMany(8)
    let server = cluster.servers[2]
    let read = gateway.engine.reads.begin(at: cluster.time.wall.now)
    try await gateway.administration.drain(server.id)
    try await gateway.live { try await isNamed(server, in: cluster) == false }
    #expect(try await !server.chunks().isEmpty)
    for number in 0..<8 { try await gateway.delete("key\(number)") }
    for _ in 0..<240 {
      cluster.time.advance(5)
      try await gateway.beat()
    }
    gateway.engine.reads.end(read)
    for _ in 0..<20 {
      cluster.time.advance(5)
      try await gateway.beat()
    }
    try await body(gateway, server)
    #expect(try await cluster.isTidy())
    #expect(try await gateway.store.counts().tombstones == 0)
    await cluster.close()
  }

  @Test("former copies that are known go with their objects: whoever knows them may die")
  func known() async throws {
    try await deleted(seed: 37) { gateway, _ in try await gateway.run("tombstones") }
  }

  @Test("a deletion waits for the stores of former copies that are known")
  func outOfReach() async throws {
    try await deleted(seed: 38) { gateway, server in
      server.stores[0].onDelete.withLock {
        $0 = { chunks throws(ChunkStoreError) in throw .offline("away") }
      }
      try await gateway.run("tombstones")
      #expect(try await gateway.store.counts().tombstones > 0)
      server.stores[0].onDelete.withLock { $0 = nil }
      try await gateway.run("tombstones")
    }
  }

  @Test("a deletion that failed is not repeated: another gateway may lead by then")
  func repetition() async throws {
    let cluster = try await TestCluster(seed: 34, servers: 7)
    cluster.network.isGuarded.withLock { $0 = true }
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(8)
    let server = cluster.servers[2]
    let count = try await server.chunks().count
    #expect(count > 0)
    let asked = Mutex<[ChunkID: Int]>([:])
    server.stores[0].onDelete.withLock {
      $0 = { chunks throws(ChunkStoreError) in
        asked.withLock { asked in for chunk in chunks { asked[chunk, default: 0] += 1 } }
        throw .io("no deletion")
      }
    }
    try await gateway.administration.drain(server.id)
    let worker = try #require(gateway.work.workers.first { $0.name == "rebalance" })
    for _ in 0..<60 where asked.withLock({ $0.count }) < count {
      cluster.time.advance(5)
      try await gateway.beat()
      try await withTaskExecutorPreference(TestCluster.pool) {
        while case .throttled = try await worker.step() {}
      }
    }
    #expect(asked.withLock { $0 }.allSatisfy { $0.value == 1 })
    #expect(asked.withLock { $0.count } == count)
    await cluster.close()
  }
}
