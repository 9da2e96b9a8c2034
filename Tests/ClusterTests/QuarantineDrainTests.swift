import Base
import ChunkStore
import Cluster
import Erasure
import Metadata
import ObjectEngine
import Runtime
import Sealing
import Synchronization
import TestSupport
import Testing

@Suite("Drains of servers with chunks that no object has")
struct QuarantineDrainTests {
  /// An extent whose chunks are durable, which only the record of the quarantine names.
  private func quarantine(
    _ gateway: TestGateway, size: Int, seed: UInt64
  ) async throws -> (extent: Extent, content: [UInt8]) {
    let content = SeededRandom(seed: seed).bytes(size)
    // Of a writer that the database does not know, as after a rebuild.
    let id = ExtentID(epoch: 77_000, random: (7, seed))
    let extent = try await gateway.engine.writeExtent(id, from: ArraySource(content)) { length in
      ExtentDescriptor(
        kind: .object, bucketID: 1, bucketName: "bucket", key: [1], tenantID: 1, ownerID: 1,
        sequence: 0, lastModified: gateway.cluster.time.wall.now, byteCount: Int(length))
    }
    let isKept = try await gateway.store.quarantine(
      QuarantinedExtent(
        id: id, kind: 1, bucket: "bucket", key: [1], version: "", partNumber: 0,
        size: Int64(size), modified: gateway.cluster.time.wall.now,
        dataCount: extent.dataCount, parityCount: extent.parityCount,
        stores: extent.stores.map { $0 }, found: gateway.cluster.time.wall.now))
    #expect(isKept)
    return (extent, content)
  }

  /// The content, out of the places that the record names.
  private func read(_ extent: Extent, _ gateway: TestGateway) async throws -> [UInt8] {
    let item = try #require(try await gateway.store.quarantined(extent.id))
    var row = extent
    row.stores = try item.stores.map { try #require($0) }
    // All of them are good, so that any two may be lost.
    try await withTaskExecutorPreference(TestCluster.pool) {
      for (index, id) in row.stores.enumerated() {
        let store = try #require(gateway.cluster.server(of: id)?.stores[0].inner)
        try await store.verify(ChunkID(extent: extent.id, index: UInt8(index)))
      }
    }
    #expect(Set(row.stores).count == row.stores.count)
    var result: [UInt8] = []
    let read = try gateway.engine.read(row)
    try await read.stream { buffer, piece in result += buffer.bytes(piece) }
    return result
  }

  private func isDrained(_ server: FakeServer, _ gateway: TestGateway) async throws -> Bool {
    try await gateway.administration.servers().first { $0.record.id == server.id }?.isDrained
      == true
  }

  /// Copies of an extent's chunks in all stores.
  private func copies(of id: ExtentID, _ cluster: TestCluster) async throws -> Int {
    var count = 0
    for server in cluster.servers {
      count += try await server.chunks().count { $0.extent == id }
    }
    return count
  }

  /// Has a chunk hold other data than those of its digest.
  private func spoil(_ chunk: ChunkID, at inner: LocalChunkStore) async throws {
    try await withTaskExecutorPreference(TestCluster.pool) {
      var status = try await inner.stat(chunk)
      let length = status.trailer.dataLength
      let buffer = AlignedBuffer(count: 64 << 10)
      let digester = ChunkDigester(id: chunk)
      buffer.copy([UInt8](repeating: 1, count: length))
      unsafe buffer.withBytes(0..<length) { unsafe digester.append($0) }
      let sha256 = status.trailer.sha256
      status.trailer = digester.finish(
        extentLength: status.trailer.extentLength, storedLength: status.trailer.storedLength,
        wrappedKey: status.trailer.wrappedKey, descriptor: status.trailer.descriptor)
      status.trailer.sha256 = sha256
      try await inner.putSmall(
        status.header, data: buffer, range: 0..<length, trailer: status.trailer)
    }
  }

  /// A part that is durable, of a snapshot that was begun, and that has no row yet.
  private func part(_ gateway: TestGateway) async throws -> (number: UInt32, extent: Extent) {
    let number = try await gateway.store.beginSnapshot(minimum: 0, log: [], floor: 0).number
    let id = SystemExtentID.snapshot(number: number, part: 0).id(random: 5)
    let content = SeededRandom(seed: UInt64(number)).bytes(5000)
    let extent = try await gateway.engine.writeExtent(id, from: ArraySource(content)) { length in
      ExtentDescriptor(
        kind: .snapshot, bucketID: 0, bucketName: "", key: [], tenantID: 0, ownerID: 0,
        sequence: Int(number), lastModified: gateway.cluster.time.wall.now, byteCount: Int(length))
    }
    return (number, extent)
  }

  @Test("a drain moves what is in quarantine, and ends", arguments: [5000, 3_000_000])
  func moves(size: Int) async throws {
    let cluster = try await TestCluster(seed: 41, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    try await gateway.putMany(3)
    let (extent, content) = try await quarantine(gateway, size: size, seed: 1)
    let server = try #require(cluster.server(of: extent.stores[1]))
    try await gateway.administration.drain(server.id)
    try await gateway.live { try await isDrained(server, gateway) }
    #expect(try await server.chunks().isEmpty)
    #expect(try await read(extent, gateway) == content)
    #expect(try await copies(of: extent.id, cluster) == 6)
    #expect(try await gateway.readsAll(3))
    // A second drain moves what the first one has moved.
    let item = try #require(try await gateway.store.quarantined(extent.id))
    try await gateway.administration.undoDrain(server.id)
    let next = try #require(item.stores[1].flatMap { cluster.server(of: $0) })
    try await gateway.administration.drain(next.id)
    try await gateway.live { try await isDrained(next, gateway) }
    #expect(try await read(extent, gateway) == content)
    // What is given up goes from where it lies by now.
    try await gateway.store.releaseFromQuarantine(extent.id, dropping: true)
    try await gateway.live { try await gateway.store.counts().tombstones == 0 }
    #expect(try await copies(of: extent.id, cluster) == 0)
    await cluster.close()
  }

  @Test("a leader that dies between the copy and its record leaves all to the next one")
  func killed() async throws {
    let cluster = try await TestCluster(seed: 42, servers: 8)
    let (first, second) = (try await cluster.gateway(), try await cluster.gateway())
    try await first.live(5)
    try await second.beat()
    let (extent, content) = try await quarantine(first, size: 5000, seed: 2)
    let server = try #require(cluster.server(of: extent.stores[3]))
    try await first.administration.drain(server.id)
    let target = Mutex<StoreID?>(nil)
    for other in cluster.servers where other.id != server.id {
      let store = other.stores[0]
      store.onPut.withLock { hook in
        hook = {
          target.withLock { $0 = store.id }
          first.driver.isReachable.withLock { $0 = false }
        }
      }
    }
    await #expect(throws: (any Error).self) { try await first.live(600) }
    for other in cluster.servers { other.stores[0].onPut.withLock { $0 = nil } }
    let written = try #require(target.withLock { $0 })
    // Both have it, and the record names the one that it did.
    #expect(try await copies(of: extent.id, cluster) == 7)
    let item = try #require(try await second.store.quarantined(extent.id))
    #expect(item.stores == extent.stores.map { $0 })
    #expect(!extent.stores.contains(written))
    try await second.live { try await isDrained(server, second) }
    #expect(try await read(extent, second) == content)
    #expect(try await copies(of: extent.id, cluster) == 6)
    await cluster.close()
  }

  @Test("a bad chunk in quarantine is made out of its siblings, and one of too few stays")
  func corrupt() async throws {
    let cluster = try await TestCluster(seed: 43, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let (extent, content) = try await quarantine(gateway, size: 5000, seed: 3)
    let (poor, _) = try await quarantine(gateway, size: 5000, seed: 4)
    let server = try #require(cluster.server(of: extent.stores[0]))
    let inner = server.stores[0].inner
    try await spoil(ChunkID(extent: extent.id, index: 0), at: inner)
    let held = try #require(poor.stores.firstIndex(of: inner.id))
    try await spoil(ChunkID(extent: poor.id, index: UInt8(held)), at: inner)
    let others = poor.stores.enumerated().filter { $0.offset != held }.prefix(3)
    try await withTaskExecutorPreference(TestCluster.pool) {
      for (index, id) in others {
        try await cluster.server(of: id)?.stores[0].inner.delete([
          ChunkID(extent: poor.id, index: UInt8(index))
        ])
      }
    }
    try await gateway.administration.drain(server.id)
    try await gateway.live {
      try await server.chunks() == [ChunkID(extent: poor.id, index: UInt8(held))]
    }
    #expect(try await read(extent, gateway) == content)
    try await gateway.live(300)
    #expect(try await !isDrained(server, gateway))
    // The operator decides.
    try await gateway.store.releaseFromQuarantine(poor.id, dropping: true)
    try await gateway.live { try await isDrained(server, gateway) }
    await cluster.close()
  }

  @Test("a store that takes no chunk holds a drain, and nothing is deleted before another has it")
  func failingTarget() async throws {
    let cluster = try await TestCluster(seed: 44, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let (extent, content) = try await quarantine(gateway, size: 5000, seed: 5)
    let server = try #require(cluster.server(of: extent.stores[2]))
    let free = try #require(cluster.servers.first { !extent.stores.contains($0.stores[0].id) })
    free.stop()
    try await gateway.administration.drain(server.id)
    let deleted = Mutex<[ChunkID]>([])
    server.stores[0].onDelete.withLock { hook in
      hook = { chunks in deleted.withLock { $0 += chunks } }
    }
    free.stores[0].isBroken.withLock { $0 = true }
    free.start()
    try await gateway.live(60)
    let isThere = try await copies(of: extent.id, cluster)
    #expect(isThere >= 6)
    free.stores[0].isBroken.withLock { $0 = false }
    try await gateway.live { try await isDrained(server, gateway) }
    let item = try #require(try await gateway.store.quarantined(extent.id))
    #expect(!item.stores.contains(server.stores[0].id))
    var row = extent
    row.stores = try item.stores.map { try #require($0) }
    var result: [UInt8] = []
    let read = try gateway.engine.read(row)
    try await read.stream { buffer, piece in result += buffer.bytes(piece) }
    #expect(result == content)
    #expect(try await copies(of: extent.id, cluster) == 6)
    await cluster.close()
  }

  @Test("a copy that the record does not name goes only where the named one is good")
  func spareCopy() async throws {
    let cluster = try await TestCluster(seed: 45, servers: 7)
    let gateway = try await cluster.gateway { $0.comparisonPeriod = .seconds(60) }
    try await gateway.live(5)
    let (extent, content) = try await quarantine(gateway, size: 5000, seed: 6)
    let free = try #require(cluster.servers.first { !extent.stores.contains($0.stores[0].id) })
    // The record names a store that has not got it.
    #expect(
      try await gateway.store.moveQuarantined(
        extent.id, chunk: 4, from: extent.stores[4], to: free.stores[0].id))
    #expect(
      try await !gateway.store.moveQuarantined(
        extent.id, chunk: 4, from: extent.stores[4], to: free.stores[0].id))
    try await gateway.live {
      try await gateway.store.quarantined(extent.id)?.stores[4] == extent.stores[4]
    }
    #expect(try await read(extent, gateway) == content)
    // It has one by now as well: what the record does not name is removed.
    let source = try #require(cluster.server(of: extent.stores[4])?.stores[0].inner)
    let chunk = ChunkID(extent: extent.id, index: 4)
    try await withTaskExecutorPreference(TestCluster.pool) {
      let found = try await gateway.engine.readSmall(chunk, from: source)
      try await free.stores[0].inner.putSmall(
        found.status.header, data: found.data, range: 0..<found.status.trailer.dataLength,
        trailer: found.status.trailer)
    }
    #expect(try await copies(of: extent.id, cluster) == 7)
    try await gateway.live { try await copies(of: extent.id, cluster) == 6 }
    #expect(try await read(extent, gateway) == content)
    #expect(try await gateway.store.quarantined(extent.id)?.stores[4] == extent.stores[4])
    await cluster.close()
  }

  @Test("parts of a snapshot that was given up hold no drain, those of one being made do")
  func snapshotParts() async throws {
    let cluster = try await TestCluster(seed: 46, servers: 7)
    let gateway = try await cluster.gateway()
    let maker = try await cluster.gateway()
    try await gateway.live(5)
    try await maker.beat()
    let lost = try await part(maker)
    // As the maker of a snapshot does.
    let token = gateway.engine.writes.begin(at: cluster.time.wall.now)
    let made = try await part(gateway)
    let server = try #require(
      cluster.servers.first {
        lost.extent.stores.contains($0.stores[0].id)
          && made.extent.stores.contains($0.stores[0].id)
      })
    let store = server.stores[0].id
    try await gateway.administration.drain(server.id)
    // The maker of the first one has died: it renews its lease no more.
    try await gateway.live {
      try await server.chunks().allSatisfy { $0.extent == made.extent.id }
    }
    #expect(try await copies(of: lost.extent.id, cluster) == 6)
    try await gateway.live(300)
    #expect(try await server.chunks().map(\.extent) == [made.extent.id])
    #expect(try await !isDrained(server, gateway))
    // The second one is complete: its parts move as any extent's.
    try await gateway.store.addSnapshotPart(made.extent, to: made.number, isLast: true)
    gateway.engine.writes.end(token)
    #expect(try await gateway.store.snapshots().last?.isComplete == true)
    try await gateway.live { try await isDrained(server, gateway) }
    let row = try #require(try await cluster.extents().first { $0.id == made.extent.id })
    #expect(!row.stores.contains(store))
    #expect(try await copies(of: made.extent.id, cluster) == 6)
    // Nobody names what was given up.
    await #expect(throws: MetadataError.fenced) {
      try await maker.store.addSnapshotPart(lost.extent, to: lost.number, isLast: true)
    }
    await cluster.close()
  }

  @Test("a bad part of a snapshot that was given up holds no drain")
  func badPart() async throws {
    let cluster = try await TestCluster(seed: 47, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let (number, extent) = try await part(gateway)
    try await gateway.store.giveUpSnapshot(number)
    let server = try #require(cluster.server(of: extent.stores[1]))
    try await spoil(ChunkID(extent: extent.id, index: 1), at: server.stores[0].inner)
    try await gateway.administration.drain(server.id)
    try await gateway.live { try await isDrained(server, gateway) }
    #expect(try await copies(of: extent.id, cluster) == 5)
    await cluster.close()
  }

  @Test("what nothing names, of a writer that the database does not know, goes to quarantine")
  func orphan() async throws {
    let cluster = try await TestCluster(seed: 48, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let (extent, _) = try await quarantine(gateway, size: 5000, seed: 8)
    try await gateway.store.releaseFromQuarantine(extent.id, dropping: false)
    let server = try #require(cluster.server(of: extent.stores[2]))
    try await gateway.live(120)
    #expect(try await gateway.store.quarantineCount() == 0)
    try await gateway.administration.drain(server.id)
    try await gateway.live { try await isDrained(server, gateway) }
    let item = try #require(try await gateway.store.quarantined(extent.id))
    #expect(item.bucket == "bucket" && item.size == 5000)
    let place = try #require(item.stores[2].flatMap { cluster.server(of: $0) })
    #expect(try await place.chunks().contains(ChunkID(extent: extent.id, index: 2)))
    #expect(item.stores.count { $0 != nil } == 1)
    #expect(try await copies(of: extent.id, cluster) == 6)
    await cluster.close()
  }
}
