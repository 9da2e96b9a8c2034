import Base
import ChunkStore
import Cluster
import Erasure
import Metadata
import ObjectEngine
import Runtime
import TestSupport
import Testing

@Suite("Repair")
struct RepairTests {
  /// An installation with one object, one of whose chunks was lost.
  private struct Scene {
    let installation: Installation
    let bucket: Bucket
    let extent: Extent
    let repairer: ExtentRepairer
    let expected: [UInt8]

    init(seed: UInt64, bytes: Int = 1_300_000, stores: Int = 6, losing chunks: [Int]) async throws {
      installation = try await Installation.open(InstallationPlan(seed: seed, storeCount: stores))
      bucket = try await installation.makeBucket()
      expected = content(bytes, seed: seed)
      try await installation.put("key", expected, in: bucket)
      extent = try #require(await installation.extents(of: "key", in: bucket).first)
      repairer = ExtentRepairer(engine: installation.engine, log: .none)
      for chunk in chunks { try await lose(chunk) }
    }

    func store(_ chunk: Int) throws -> HookedStore {
      let place = try #require(installation.place(extent, chunk))
      return try #require(installation.hooks[place])
    }

    func lose(_ chunk: Int) async throws {
      let id = ChunkID(extent: extent.id, index: UInt8(chunk))
      let store = try store(chunk).local()
      try await installation.onPool { try await store.delete([id]) }
    }

    func repair(_ chunks: UInt32) async throws -> RepairOutcome {
      try await installation.onPool { try await repairer.repair(extent.id, chunks: chunks) }
    }

    func expectContent() async throws {
      let found = try await installation.read("key", in: bucket)
      #expect(isSame(found, expected[...]))
    }
  }

  @Test("a chunk is made again byte for byte, trailer included", arguments: [50_000, 1_300_000])
  func identical(bytes: Int) async throws {
    let scene = try await Scene(seed: 1, bytes: bytes, losing: [])
    for chunk in 0..<6 {
      let id = ChunkID(extent: scene.extent.id, index: UInt8(chunk))
      let store = try scene.store(chunk)
      let before = try await scene.installation.onPool { try await store.stat(id) }
      try await scene.lose(chunk)
      #expect(try await scene.repair(1 << UInt32(chunk)) == .repaired(chunks: 1 << UInt32(chunk)))
      let after = try await scene.installation.onPool { try await store.stat(id) }
      #expect(after == before)
      try await scene.installation.onPool { try await store.verify(id) }
    }
    try await scene.expectContent()
    await scene.installation.close()
  }

  @Test("a chunk that turns out to be good is left as it is")
  func good() async throws {
    let scene = try await Scene(seed: 2, losing: [])
    try await scene.installation.store.queueRepair(scene.extent.id, chunks: 0b10, reason: "test")
    scene.installation.interceptAll { call throws(ChunkStoreError) in
      if case .beginChunk = call { throw .io("nothing is to be written") }
    }
    #expect(try await scene.repair(0b10) == .repaired(chunks: 0b10))
    #expect(try await scene.installation.store.counts().repairs == 0)
    await scene.installation.close()
  }

  @Test("with a store to spare, a chunk whose store takes no writes moves there")
  func moves() async throws {
    let scene = try await Scene(seed: 3, stores: 7, losing: [3])
    let full = try scene.store(3)
    full.intercept { call throws(ChunkStoreError) in
      if case .beginChunk = call { throw .full }
    }
    // The first attempt learns that the store is full, the second goes elsewhere.
    guard case .incomplete(repaired: 0, _) = try await scene.repair(0b1000) else {
      Issue.record("the store was to refuse")
      return
    }
    #expect(try await scene.repair(0b1000) == .repaired(chunks: 0b1000))
    let moved = try #require(
      await scene.installation.extents(of: "key", in: scene.bucket).first)
    #expect(!scene.extent.stores.contains(moved.stores[3]))
    #expect(Set(moved.stores).count == 6)
    #expect(moved.generation == scene.extent.generation + 1)
    let others = Set([0, 1].compactMap { scene.installation.place(moved, $0) })
    let engine = scene.installation.engine(hiding: others)
    let found = try await scene.installation.read("key", in: scene.bucket, by: engine)
    #expect(isSame(found, scene.expected[...]))
    await scene.installation.close()
  }

  @Test("without a store to spare it waits, and nothing is doubled up or deleted")
  func waits() async throws {
    let scene = try await Scene(seed: 4, losing: [3])
    let before = try await scene.installation.chunks()
    scene.installation.engine.stores.note(.full, of: scene.extent.stores[3])
    guard case .incomplete(repaired: 0, _) = try await scene.repair(0b1000) else {
      Issue.record("there was no place for it")
      return
    }
    #expect(try await scene.installation.chunks() == before)
    await scene.installation.close()
  }

  @Test("an object deleted during its repair stays deleted, and no chunk is left over")
  func deletedMeanwhile() async throws {
    let scene = try await Scene(seed: 5, losing: [2])
    let once = Once()
    let (installation, bucket) = (scene.installation, scene.bucket)
    let early = TombstoneWorker(engine: installation.engine, log: .none)
    try scene.store(2).intercept { call throws(ChunkStoreError) in
      guard case .beginChunk = call, once.first() else { return }
      do {
        _ = try await installation.engine.delete(bucket: bucket.id, key: Array("key".utf8))
        installation.clock.advance(seconds: 1000)
        _ = try await early.step()
      } catch { throw .io("\(error)") }
    }
    #expect(try await scene.repair(0b100) == .superseded)
    #expect(once.hasHappened)
    // The repair counts as a read: its sources stayed for it.
    #expect(early.progress.itemsDone == 0)
    #expect(try await installation.read("key", in: bucket) == nil)
    let worker = TombstoneWorker(engine: installation.engine, delay: .zero, log: .none)
    installation.clock.advance(seconds: 100)
    _ = try await installation.onPool { try await worker.step() }
    #expect(try await installation.chunks().values.allSatisfy(\.isEmpty))
    await installation.close()
  }

  @Test("an object overwritten during its repair keeps its new content whole")
  func overwrittenMeanwhile() async throws {
    let scene = try await Scene(seed: 6, losing: [2])
    let once = Once()
    let (installation, bucket) = (scene.installation, scene.bucket)
    let new = content(900_000, seed: 77)
    try scene.store(2).intercept { call throws(ChunkStoreError) in
      guard case .beginChunk(let id) = call, id.extent == scene.extent.id, once.first() else {
        return
      }
      do { try await installation.put("key", new, in: bucket) } catch { throw .io("\(error)") }
    }
    #expect(try await scene.repair(0b100) == .superseded)
    let worker = TombstoneWorker(engine: installation.engine, delay: .zero, log: .none)
    installation.clock.advance(seconds: 100)
    _ = try await installation.onPool { try await worker.step() }
    let found = try await installation.read("key", in: bucket)
    #expect(isSame(found, new[...]))
    let left = try await installation.chunks().values.joined()
    #expect(left.count == 6)
    #expect(left.allSatisfy { $0.extent != scene.extent.id })
    await installation.close()
  }

  @Test("a repair that lost to another takes back what it wrote elsewhere, and no more")
  func lostRace() async throws {
    let scene = try await Scene(seed: 7, stores: 7, losing: [4])
    let installation = scene.installation
    let extent = scene.extent
    installation.engine.stores.note(.full, of: extent.stores[4])
    let once = Once()
    let spare = try #require(installation.plan.stores.first { !extent.stores.contains($0) })
    let place = try #require(installation.plan.stores.firstIndex(of: spare))
    installation.hooks[place]?.intercept { call throws(ChunkStoreError) in
      guard case .beginChunk = call, once.first() else { return }
      do {
        // Somebody else records something for the extent first.
        _ = try await installation.store.finishRepair(
          extent.id, chunks: 0, stores: extent.stores, generation: extent.generation)
      } catch { throw .io("\(error)") }
    }
    let before = try await installation.chunks()
    #expect(try await scene.repair(0b10000) == .superseded)
    #expect(once.hasHappened)
    #expect(try await installation.chunks() == before)
    try await scene.expectContent()
    await installation.close()
  }

  @Test("a repair that lost to one that did the same leaves the chunk that is named")
  func sameRace() async throws {
    let scene = try await Scene(seed: 8, losing: [4])
    let installation = scene.installation
    let extent = scene.extent
    let once = Once()
    try scene.store(4).intercept { call throws(ChunkStoreError) in
      guard case .beginChunk = call, once.first() else { return }
      do {
        _ = try await installation.store.finishRepair(
          extent.id, chunks: 0b10000, stores: extent.stores, generation: extent.generation)
      } catch { throw .io("\(error)") }
    }
    #expect(try await scene.repair(0b10000) == .superseded)
    let engine = installation.engine(
      hiding: Set([0, 1].compactMap { installation.place(extent, $0) }))
    let found = try await installation.read("key", in: scene.bucket, by: engine)
    #expect(isSame(found, scene.expected[...]))
    await installation.close()
  }

  @Test("a chunk whose checksums fit wrong data is found out by its digest and made again too")
  func liar() async throws {
    let scene = try await Scene(seed: 9, bytes: 60_000, losing: [5])
    let id = ChunkID(extent: scene.extent.id, index: 1)
    let store = try scene.store(1).local()
    let installation = scene.installation
    // The same data under a trailer that claims the right digest over other bytes.
    try await installation.onPool {
      let status = try await store.stat(id)
      let length = status.trailer.dataLength
      let buffer = AlignedBuffer(count: length)
      buffer.copy(content(length, seed: 5))
      let digester = ChunkDigester(id: id)
      buffer.withBytes(0..<length) { digester.append($0) }
      var trailer = digester.finish(
        extentLength: status.trailer.extentLength, storedLength: status.trailer.storedLength,
        wrappedKey: status.trailer.wrappedKey, descriptor: status.trailer.descriptor)
      trailer.sha256 = status.trailer.sha256
      try await store.putSmall(status.header, data: buffer, range: 0..<length, trailer: trailer)
    }
    #expect(try await scene.repair(0b100000) == .repaired(chunks: 0b100000))
    let queued = try #require(await installation.store.repairs(limit: 5).first)
    #expect(queued.chunks == 0b10)
    #expect(try await scene.repair(queued.chunks) == .repaired(chunks: 0b10))
    let scrub = ScrubWorker(repairer: scene.repairer, log: .none)
    let report = try await installation.onPool { try await scrub.runRequested() }
    #expect(report.goodChunks == 6)
    try await scene.expectContent()
    await installation.close()
  }

  @Test("too few survivors: postponed with a growing delay, the queue goes on, nothing is deleted")
  func tooFew() async throws {
    let scene = try await Scene(seed: 10, losing: [0, 1, 2])
    let installation = scene.installation
    try await installation.put("other", content(400_000, seed: 3), in: scene.bucket)
    let other = try #require(await installation.extents(of: "other", in: scene.bucket).first)
    let lost = try #require(installation.hooks[installation.place(other, 0) ?? 0]).local()
    try await installation.onPool { try await lost.delete([ChunkID(extent: other.id, index: 0)]) }
    try await installation.store.queueRepair(scene.extent.id, chunks: 0b111, reason: "test")
    try await installation.store.queueRepair(other.id, chunks: 1, reason: "test")
    let worker = RepairWorker(repairer: scene.repairer)
    let before = try await installation.chunks().mapValues(\.count).values.reduce(0, +)
    // Fewest survivors first: the hopeless one, then the other, then nothing is due.
    #expect(try await installation.onPool { try await worker.step() } == .busy)
    #expect(worker.progress.itemsDone == 0)
    #expect(try await installation.onPool { try await worker.step() } == .throttled)
    #expect(worker.progress.itemsDone == 1)
    let idle = try await installation.onPool { try await worker.step() }
    #expect(idle == .idle(nextAfter: .seconds(10)))
    #expect(try await installation.chunks().mapValues(\.count).values.reduce(0, +) == before + 1)
    #expect(try await installation.store.counts().repairs == 1)
    installation.clock.advance(seconds: 3600)
    #expect(try await installation.onPool { try await worker.step() } == .busy)
    await installation.close()
  }

  @Test(
    "what bears no further loss is repaired without a rest, other extents with one",
    arguments: [0b1, 0b11] as [UInt32])
  func urgency(chunks: UInt32) async throws {
    let lost = (0..<6).filter { chunks & 1 << UInt32($0) != 0 }
    let scene = try await Scene(seed: 11, losing: lost)
    let installation = scene.installation
    try await installation.store.queueRepair(scene.extent.id, chunks: chunks, reason: "test")
    let worker = RepairWorker(repairer: scene.repairer)
    let outcome = try await installation.onPool { try await worker.step() }
    #expect(outcome == (lost.count == 2 ? .busy : .throttled))
    #expect(worker.progress.itemsDone == lost.count)
    await installation.close()
  }

  @Test("a write that misses a chunk is made whole by the worker")
  func afterDegradedWrite() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 11))
    let bucket = try await installation.makeBucket()
    installation.hooks[1]?.intercept { call throws(ChunkStoreError) in
      switch call {
      case .putSmall, .beginChunk: throw .io("a passing failure")
      default: return
      }
    }
    for (key, bytes) in [("a", 30_000), ("b", 500_000), ("c", 1_500_000)] {
      try await installation.put(key, content(bytes, seed: UInt64(bytes)), in: bucket)
    }
    #expect(try await installation.store.counts().repairs == 3)
    installation.hooks[1]?.intercept(nil)
    let repairer = ExtentRepairer(engine: installation.engine, log: .none)
    let worker = RepairWorker(repairer: repairer)
    for _ in 0..<3 { _ = try await installation.onPool { try await worker.step() } }
    #expect(try await installation.store.counts().repairs == 0)
    for key in ["a", "b", "c"] {
      let extent = try #require(await installation.extents(of: key, in: bucket).first)
      #expect(extent.missing == 0)
    }
    #expect(try await installation.chunks().values.allSatisfy { $0.count == 3 })
    await installation.close()
  }

  @Test("memory: a repair takes one stripe of the budget and gives it back")
  func memory() async throws {
    let scene = try await Scene(seed: 12, bytes: 3_500_000, losing: [0, 5])
    let installation = scene.installation
    let most = Once()
    try scene.store(0).intercept { call throws(ChunkStoreError) in
      guard case .beginChunk = call, most.first() else { return }
      let used = installation.engine.buffers.used
      guard (1...2_000_000).contains(used) else { throw .io("\(used) bytes in use") }
    }
    #expect(try await scene.repair(0b100001) == .repaired(chunks: 0b100001))
    try await eventually { installation.engine.buffers.used == 0 }
    #expect(installation.engine.reads.oldest == nil)
    await installation.close()
  }
}
