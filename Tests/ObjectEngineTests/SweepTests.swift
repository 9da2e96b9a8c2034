import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Testing

@Suite("Sweep")
struct SweepTests {
  /// Leaves chunks behind as a writer does that dies between its chunks and its commit.
  private func leaveUnnamed(
    _ installation: Installation, count: Int, bytes: Int = 200_000
  ) async throws -> Set<ExtentID> {
    // Objects are written and deleted, and their tombstones struck off without deleting a chunk.
    let bucket = try await installation.makeBucket(
      "short-lived-\(installation.engine.writer.epoch)")
    var unnamed: Set<ExtentID> = []
    for number in 0..<count {
      try await installation.put("key-\(number)", content(bytes, seed: UInt64(number)), in: bucket)
      let extent = try #require(
        await installation.extents(of: "key-\(number)", in: bucket).first)
      unnamed.insert(extent.id)
      _ = try await installation.engine.delete(bucket: bucket.id, key: Array("key-\(number)".utf8))
    }
    let all = UInt32(0b111111)
    try await installation.store.confirm(unnamed.map { (extent: $0, chunks: all) })
    return unnamed
  }

  private func run(_ worker: SweepWorker, _ installation: Installation) async throws {
    var steps = 0
    while try await installation.onPool({ try await worker.step() }) == .busy, steps < 1000 {
      steps += 1
    }
    #expect(steps < 1000)
  }

  @Test("deletes exactly what fenced writers left unnamed")
  func exactly() async throws {
    let plan = InstallationPlan(seed: 1)
    var installation = try await Installation.open(plan)
    _ = try await installation.putSamples()
    let unnamed = try await leaveUnnamed(installation, count: 3)
    let dead = installation.engine.writer.epoch
    // A tombstone names its extent too: it is not for the sweep.
    let bucket = try await installation.sampleBucket()
    try await installation.put("buried", content(200_000, seed: 9), in: bucket)
    let buried = try #require(await installation.extents(of: "buried", in: bucket).first).id
    _ = try await installation.engine.delete(bucket: bucket.id, key: Array("buried".utf8))
    await installation.close()

    installation = try await Installation.open(plan, seed: 2)
    // Unnamed chunks of the living writer: what a PUT looks like before its commit.
    let living = try await leaveUnnamed(installation, count: 1)
    let before = try await installation.chunks()
    #expect(try await installation.store.unsweptEpochs() == [dead])
    let worker = SweepWorker(engine: installation.engine, log: .none)
    try await run(worker, installation)
    let after = try await installation.chunks()
    for (index, chunks) in before {
      #expect(after[index] == chunks.filter { !unnamed.contains($0.extent) })
    }
    #expect(worker.progress.itemsDone == 18)
    #expect(after.values.joined().contains { $0.extent == buried })
    #expect(after.values.joined().contains { living.contains($0.extent) })
    #expect(try await installation.store.unsweptEpochs().isEmpty)
    #expect(try await installation.unreadableSamples(ranges: false) == [])
    await installation.close()
  }

  @Test("an epoch is swept only when every store was listed to its end")
  func storeAway() async throws {
    let plan = InstallationPlan(seed: 2)
    var installation = try await Installation.open(plan)
    let unnamed = try await leaveUnnamed(installation, count: 2, bytes: 1_000_000)
    await installation.close()
    installation = try await Installation.open(plan, seed: 2)
    installation.hooks[4]?.intercept { call throws(ChunkStoreError) in
      if call == .list { throw .offline("away") }
    }
    let worker = SweepWorker(engine: installation.engine, log: .none)
    try await run(worker, installation)
    #expect(try await installation.store.unsweptEpochs().count == 1)
    #expect(Set(try await installation.chunks().values.joined().map(\.extent)) == unnamed)
    #expect(worker.progress.itemsDone == 10)
    installation.hooks[4]?.intercept(nil)
    try await run(worker, installation)
    #expect(try await installation.store.unsweptEpochs().isEmpty)
    #expect(try await installation.chunks().values.allSatisfy(\.isEmpty))
    await installation.close()
  }

  @Test("the hold of a restored database stops it")
  func hold() async throws {
    let plan = InstallationPlan(seed: 3)
    var installation = try await Installation.open(plan)
    _ = try await leaveUnnamed(installation, count: 1)
    await installation.close()
    installation = try await Installation.open(plan, seed: 2)
    try await installation.store.setSetting(DeletionHold.setting, [1])
    let before = try await installation.chunks()
    let worker = SweepWorker(engine: installation.engine, log: .none)
    try await run(worker, installation)
    #expect(try await installation.chunks() == before)
    #expect(try await installation.store.unsweptEpochs().count == 1)
    try await installation.store.setSetting(DeletionHold.setting, [0])
    try await run(worker, installation)
    #expect(try await installation.store.unsweptEpochs().isEmpty)
    #expect(worker.progress.itemsDone == 6)
    await installation.close()
  }
}
