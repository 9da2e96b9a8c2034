import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Tombstones")
struct TombstoneTests {
  private let size = 1_300_000

  @Test("chunks go only after the delay, and only those of deleted objects")
  func delay() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 1))
    let bucket = try await installation.makeBucket()
    try await installation.put("dead", content(size, seed: 1), in: bucket)
    try await installation.put("overwritten", content(60_000, seed: 2), in: bucket)
    try await installation.put("alive", content(60_000, seed: 3), in: bucket)
    let dead = try await installation.extents(of: "dead", in: bucket)
    let old = try await installation.extents(of: "overwritten", in: bucket)
    let before = try await installation.chunks()
    _ = try await installation.engine.delete(bucket: bucket.id, key: Array("dead".utf8))
    try await installation.put("overwritten", content(60_000, seed: 4), in: bucket)
    let worker = TombstoneWorker(engine: installation.engine, log: .none)

    installation.clock.advance(seconds: 899)
    _ = try await installation.onPool { try await worker.step() }
    let during = try await installation.chunks()
    for (index, chunks) in before { #expect(during[index]?.isSuperset(of: chunks) == true) }

    installation.clock.advance(seconds: 2)
    _ = try await installation.onPool { try await worker.step() }
    let gone = Set((dead + old).map(\.id))
    let after = try await installation.chunks()
    #expect(after.values.joined().allSatisfy { !gone.contains($0.extent) })
    #expect(after.values.joined().count == during.values.joined().count - 12)
    #expect(worker.progress.itemsDone == 12)
    #expect(try await installation.store.counts().tombstones == 0)
    #expect(try await installation.read("alive", in: bucket) == content(60_000, seed: 3))
    await installation.close()
  }

  @Test("a running read keeps what was deleted after it began, however long it lasts")
  func runningRead() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 2))
    let bucket = try await installation.makeBucket()
    let expected = content(2 * size, seed: 1)
    try await installation.put("key", expected, in: bucket)
    let version = try #require(await installation.lookUp("key", in: bucket))
    let worker = TombstoneWorker(engine: installation.engine, log: .none)
    do {
      let read = try await installation.engine.read(version, 0..<version.size)
      _ = try await installation.engine.delete(bucket: bucket.id, key: Array("key".utf8))
      installation.clock.advance(seconds: 86_400)
      _ = try await installation.onPool { try await worker.step() }
      #expect(worker.progress.itemsDone == 0)
      var found: [UInt8] = []
      try await read.stream { buffer, range in found += buffer.bytes(range) }
      #expect(found == expected)
    }
    _ = try await installation.onPool { try await worker.step() }
    #expect(worker.progress.itemsDone == 6)
    #expect(try await installation.chunks().values.allSatisfy(\.isEmpty))
    await installation.close()
  }

  @Test("a store that does not delete keeps the tombstone, the others are confirmed")
  func storeAway() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 3))
    let bucket = try await installation.makeBucket()
    try await installation.put("key", content(size, seed: 1), in: bucket)
    let extent = try #require(await installation.extents(of: "key", in: bucket).first)
    _ = try await installation.engine.delete(bucket: bucket.id, key: Array("key".utf8))
    installation.clock.advance(seconds: 1000)
    installation.hooks[2]?.intercept { call throws(ChunkStoreError) in
      if case .delete = call { throw .offline("away") }
    }
    let worker = TombstoneWorker(engine: installation.engine, log: .none)
    for _ in 0..<3 { _ = try await installation.onPool { try await worker.step() } }
    let left = try #require(
      await installation.store.tombstones(before: installation.clock.now, limit: 10).first)
    #expect(left.unconfirmed.nonzeroBitCount == 1)
    #expect(left.stores[left.unconfirmed.trailingZeroBitCount] == installation.plan.stores[2])
    #expect(try await installation.chunks()[2]?.map(\.extent) == [extent.id])
    installation.hooks[2]?.intercept(nil)
    _ = try await installation.onPool { try await worker.step() }
    #expect(try await installation.store.counts().tombstones == 0)
    #expect(try await installation.chunks().values.allSatisfy(\.isEmpty))
    await installation.close()
  }

  @Test("a chunk that is not there counts as deleted")
  func missingChunk() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 4))
    let bucket = try await installation.makeBucket()
    try await installation.put("key", content(size, seed: 1), in: bucket)
    let extent = try #require(await installation.extents(of: "key", in: bucket).first)
    let lost = try #require(installation.engine.stores[extent.stores[1]])
    try await installation.onPool { try await lost.delete([ChunkID(extent: extent.id, index: 1)]) }
    _ = try await installation.engine.delete(bucket: bucket.id, key: Array("key".utf8))
    installation.clock.advance(seconds: 1000)
    let worker = TombstoneWorker(engine: installation.engine, log: .none)
    _ = try await installation.onPool { try await worker.step() }
    #expect(try await installation.store.counts().tombstones == 0)
    await installation.close()
  }

  @Test("tombstones that wait for a store do not hold up those behind them")
  func crowd() async throws {
    // One store more than an extent needs, so that some extents have nothing in the one away.
    let installation = try await Installation.open(
      InstallationPlan(seed: 5, storeCount: 7))
    let away = installation.plan.stores[0]
    let stuck = (0..<600).map { number in
      (
        id: ExtentID(epoch: 1, random: (0, UInt64(number))),
        stores: [StoreID](repeating: away, count: 6)
      )
    }
    try await installation.store.discard(stuck)
    installation.clock.advance(seconds: 10)
    try await installation.store.discard([
      (id: ExtentID(epoch: 1, random: (1, 1)), stores: Array(installation.plan.stores[1...6]))
    ])
    installation.clock.advance(seconds: 1000)
    installation.hooks[0]?.intercept { call throws(ChunkStoreError) in throw .offline("away") }
    let worker = TombstoneWorker(engine: installation.engine, log: .none)
    var steps = 0
    while try await installation.onPool({ try await worker.step() }) == .busy, steps < 10 {
      steps += 1
    }
    #expect(try await installation.store.counts().tombstones == 600)
    #expect(worker.progress.itemsDone == 6)
    await installation.close()
  }

  @Test("it rests between batches, unless what it deletes has been due for long")
  func pace() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 6))
    let many = (0..<3 * TombstoneWorker.batch).map { number in
      (id: ExtentID(epoch: 1, random: (0, UInt64(number))), stores: installation.plan.stores)
    }
    try await installation.store.discard(many)
    let worker = TombstoneWorker(engine: installation.engine, delay: .seconds(900), log: .none)
    func step() async throws -> StepOutcome {
      try await installation.onPool { try await worker.step() }
    }
    installation.clock.advance(seconds: 959)
    #expect(try await step() == .throttled)
    installation.clock.advance(seconds: 2)
    #expect(try await step() == .busy)
    #expect(try await installation.store.counts().tombstones == TombstoneWorker.batch)
    #expect(try await step() == .busy)
    // What came due is gone; the next may be due soon, or for a while nothing.
    let late = [
      (id: ExtentID(epoch: 1, random: (1, 0)), stores: installation.plan.stores)
    ]
    try await installation.store.discard(late)
    installation.clock.advance(seconds: 901)
    #expect(try await step() == .idle(nextAfter: .seconds(1)))
    #expect(try await step() == .idle(nextAfter: .seconds(10)))
    await installation.close()
  }
}
