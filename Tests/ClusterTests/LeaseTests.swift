import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Leases and fences")
struct LeaseTests {
  private func lease(
    _ gateway: TestGateway, _ work: BackgroundWork? = nil
  ) throws -> WorkLease {
    try #require((work ?? gateway.work).cluster?.leadership.lease)
  }

  @Test("one of two gateways leads; the other takes over when the lease has run out")
  func takeover() async throws {
    let cluster = try await TestCluster(seed: 1, servers: 6)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    for gateway in [first, second] { try await gateway.run("leadership") }
    let before = try lease(first)
    #expect(second.work.cluster?.leadership.lease == nil)
    cluster.time.advance(25)
    try await second.run("leadership")
    #expect(second.work.cluster?.leadership.lease == nil)
    cluster.time.advance(6)
    // By its own clock the first knows that it is over, before anyone tells it.
    #expect(first.work.cluster?.leadership.lease == nil)
    try await second.run("leadership")
    #expect(try lease(second).fence == before.fence + 1)
    try await first.run("leadership")
    #expect(first.work.cluster?.leadership.lease == nil)
    await cluster.close()
  }

  @Test("a lease that is given back is taken at once")
  func resigning() async throws {
    let cluster = try await TestCluster(seed: 2, servers: 6)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    try await first.run("leadership")
    await first.work.cluster?.leadership.resign()
    try await second.run("leadership")
    #expect(second.work.cluster?.leadership.lease != nil)
    await cluster.close()
  }

  @Test("a leader that was paused changes nothing when it wakes")
  func pausedLeader() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 7)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    try await first.beat()
    try await first.putMany(3)
    let extents = try await cluster.extents()
    let old = try lease(first)
    cluster.time.advance(31)
    try await second.beat()
    #expect(try lease(second).fence == old.fence + 1)
    let extent = extents[0]
    let server = try #require(cluster.server(of: extent.stores[0]))
    let before = try await server.chunks()
    let store = first.store
    let discarded = [(id: ExtentID(epoch: 1, random: (0, 1)), stores: extent.stores)]
    // Its writer is live again, so that only the lease is in the way.
    try await first.run("writer-lease")
    await WorkLease.$current.withValue(old) {
      let attempts: [@Sendable () async throws -> Void] = [
        {
          _ = try await store.finishRepair(
            extent.id, chunks: 1, stores: extent.stores, generation: extent.generation)
        }, { try await store.confirm([(extent: extent.id, chunks: 1)]) },
        { try await store.markSwept(epoch: 1) }, { _ = try await store.foldUsage(limit: 10) },
        { try await store.queueRepair(extent.id, chunks: 1, reason: "test") },
        { try await store.postponeRepair(extent.id, reason: "test") },
        { try await store.discard(discarded) }, { try await store.setSetting("test", [1]) },
        { _ = try await store.fenceExpiredWriters() },
        { try await store.setStoreState(extent.stores[0], .lost) },
        { _ = try await store.declareLost(extent.stores, of: server.id, limit: .max) },
        { _ = try await store.hastenRepairs(after: nil, limit: 100) },
      ]
      for attempt in attempts {
        await #expect(throws: MetadataError.fenced) { try await attempt() }
      }
      #expect(throws: MetadataError.fenced) { try WorkLease.checkCurrent() }
    }
    #expect(try await cluster.extents() == extents)
    #expect(try await server.chunks() == before)
    // Outside of that work it goes on.
    try await store.setSetting("test", [1])
    await cluster.close()
  }

  @Test("servers hear from the leader's calls who leads, and of deletions without an answer")
  func stamps() async throws {
    let cluster = try await TestCluster(seed: 9, servers: 6)
    let (first, second) = (
      try await cluster.gateway { $0.deletionDelay = .zero }, try await cluster.gateway()
    )
    try await first.beat()
    let server = cluster.servers[0]
    let fence = UInt64(try lease(first).fence)
    try await second.run("membership")
    #expect(server.stamps.withLock { $0.last } == .some(nil))
    try await first.run("membership")
    #expect(server.stamps.withLock { $0.last } == CallStamp(fence: fence, attempt: 0))
    try await first.put("key")
    try await first.delete("key")
    let asked = Mutex<[CallStamp?]>([])
    server.stores[0].onDelete.withLock {
      $0 = { (_) throws(ChunkStoreError) in
        asked.withLock { $0.append(ChunkCallPolicy.stamping?.stamp) }
        throw .offline("no answer in time")
      }
    }
    for _ in 0..<20 where asked.withLock({ $0.count }) < 2 {
      cluster.time.advance(5)
      try await first.beat()
      try await second.beat()
      try await first.run("tombstones", limit: 2)
    }
    let stamps = asked.withLock { $0 }
    #expect(
      stamps.prefix(2) == [
        CallStamp(fence: fence, attempt: 0), CallStamp(fence: fence, attempt: 1),
      ])
    try await first.run("membership")
    let last = try #require(server.stamps.withLock { $0.last } ?? nil)
    #expect(last >= CallStamp(fence: fence, attempt: 2))
    await cluster.close()
  }

  @Test("chunks are not deleted when too little of the lease is left")
  func deletion() async throws {
    let cluster = try await TestCluster(seed: 4, servers: 6)
    let gateway = try await cluster.gateway { $0.deletionDelay = .zero }
    try await gateway.beat()
    try await gateway.put("key")
    try await gateway.delete("key")
    for _ in 0..<20 {
      cluster.time.advance(5)
      try await gateway.beat()
    }
    // Paused between the look at the lease and the deletion at the stores.
    cluster.time.advance(29)
    try await gateway.run("tombstones", limit: 2)
    #expect(try await gateway.store.counts().tombstones == 1)
    #expect(try await cluster.differences().strays == 6)
    try await gateway.beat()
    try await gateway.run("tombstones")
    #expect(try await gateway.store.counts().tombstones == 0)
    #expect(try await cluster.isTidy())
    await cluster.close()
  }

  @Test("a writer that was reclaimed commits nothing, and goes on under another epoch")
  func reclaimedWriter() async throws {
    let cluster = try await TestCluster(seed: 5, servers: 6)
    let (leader, paused) = (try await cluster.gateway(), try await cluster.gateway())
    try await leader.beat()
    try await paused.beat()
    let bucket = try await paused.bucket()
    let epoch = paused.engine.writer.epoch
    let source = PausingSource(TestGateway.content("key", 5000)) {
      // All that happens while it is paused, in the middle of a body.
      for _ in 0..<10 {
        cluster.time.advance(5)
        try await leader.beat()
        try await leader.run("writer-reclaim")
      }
    }
    var request = PutRequest(
      bucket: bucket, key: Array("key".utf8), attributes: ObjectAttributes(),
      owner: TestGateway.owner)
    request.allowsInline = false
    let put = request
    await #expect(throws: EngineError.metadata(.fenced)) {
      try await paused.engine.put(put, from: source)
    }
    await #expect(throws: EngineError.metadata(.fenced)) {
      try await paused.engine.put(put, from: ArraySource([1]))
    }
    #expect(try await cluster.extents().isEmpty)
    #expect(try await leader.store.unsweptEpochs() == [epoch])
    try await paused.run("writer-lease")
    #expect(paused.engine.writer.epoch > epoch)
    try await paused.put("after")
    #expect(try await paused.reads("after"))
    try await leader.run("sweep")
    #expect(try await leader.store.unsweptEpochs().isEmpty)
    #expect(try await cluster.extents().count == 1)
    try await leader.live { try await cluster.isTidy() }
    await cluster.close()
  }

  @Test("a write that began under a former epoch is refused though the gateway has a new one")
  func formerEpoch() async throws {
    let cluster = try await TestCluster(seed: 6, servers: 6)
    let (leader, paused) = (try await cluster.gateway(), try await cluster.gateway())
    try await leader.beat()
    try await paused.beat()
    let bucket = try await paused.bucket()
    let source = PausingSource(TestGateway.content("key", 300_000)) {
      for _ in 0..<10 {
        cluster.time.advance(5)
        try await leader.beat()
        try await leader.run("writer-reclaim")
      }
      // It wakes and has a new epoch before the body goes on.
      try await paused.run("writer-lease")
    }
    var request = PutRequest(
      bucket: bucket, key: Array("key".utf8), attributes: ObjectAttributes(),
      owner: TestGateway.owner)
    request.allowsInline = false
    let put = request
    await #expect(throws: EngineError.metadata(.fenced)) {
      try await paused.engine.put(put, from: source)
    }
    #expect(try await paused.store.counts().versions == 0)
    await cluster.close()
  }

  @Test("a gateway without the database stops writing before its lease ends")
  func cutOff() async throws {
    let cluster = try await TestCluster(seed: 7, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.beat()
    gateway.driver.isReachable.withLock { $0 = false }
    cluster.time.advance(26)
    await #expect(throws: MetadataError.self) { try await gateway.run("writer-lease") }
    #expect(!gateway.engine.writer.isLive)
    gateway.driver.isReachable.withLock { $0 = true }
    try await gateway.run("writer-lease")
    #expect(gateway.engine.writer.isLive)
    try await gateway.put("key")
    await cluster.close()
  }

  @Test("tombstones wait for the oldest read of every gateway")
  func otherReads() async throws {
    let cluster = try await TestCluster(seed: 8, servers: 6)
    let (leader, reader) = (
      try await cluster.gateway { $0.deletionDelay = .zero }, try await cluster.gateway()
    )
    try await leader.beat()
    try await reader.beat()
    try await leader.put("key")
    let found = try await reader.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array("key".utf8), versionID: nil, withContent: false)
    let version = try #require(found.version)
    var read: ObjectRead? = try await reader.engine.read(version, 0..<version.size)
    try await leader.delete("key")
    for _ in 0..<40 {
      try await reader.beat()
      try await leader.live(5)
    }
    #expect(try await leader.store.counts().tombstones == 1)
    var bytes: [UInt8] = []
    try await read?.stream { buffer, piece in bytes += buffer.bytes(piece) }
    #expect(bytes == TestGateway.content("key", 5000))
    read = nil
    for _ in 0..<40 {
      try await reader.beat()
      try await leader.live(5)
    }
    #expect(try await leader.store.counts().tombstones == 0)
    #expect(try await cluster.isTidy())
    await cluster.close()
  }
}

/// A source that does something before its last bytes.
final class PausingSource: ObjectSource {
  let expectedLength: Int64?
  private let bytes: [UInt8]
  private let pause: @Sendable () async throws -> Void
  private let position = Mutex(0)

  init(_ bytes: [UInt8], _ pause: @escaping @Sendable () async throws -> Void) {
    self.bytes = bytes
    self.pause = pause
    expectedLength = Int64(bytes.count)
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    let start = position.withLock { $0 }
    let taken = min(count, start == 0 ? bytes.count / 2 : bytes.count - start)
    if start == bytes.count / 2 { try await pause() }
    if taken > 0 { buffer.copy(Array(bytes[start..<start + taken]), at: offset) }
    position.withLock { $0 = start + taken }
    return taken
  }
}
