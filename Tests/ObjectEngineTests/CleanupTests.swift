import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Clean-up of uploads, usage and memory")
struct CleanupTests {
  private func session(
    _ installation: Installation, _ bucket: Bucket, _ name: String,
    _ state: FileRecord.State = .uploading
  ) async throws -> FileRecord {
    let now = installation.clock.now
    let record = FileRecord(
      id: FileID(high: 1, low: installation.random.next()), user: Installation.owner,
      bucket: bucket.id, name: name, state: state, size: 0, contentType: "text/plain",
      sha256: nil, created: now, updated: now)
    try await installation.store.createFile(record)
    return record
  }

  private func state(
    _ installation: Installation, _ record: FileRecord
  ) async throws -> FileRecord.State? {
    try await installation.store.file(record.id)?.state
  }

  @Test("sessions idle for an hour fail and lose what they stored, active ones are untouched")
  func sessions() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 1))
    let bucket = try await installation.makeBucket("files", purpose: .files)
    let abandoned = try await session(installation, bucket, "abandoned")
    let stored = try await session(installation, bucket, "stored")
    let done = try await session(installation, bucket, "done", .completed)
    for record in [stored, done] {
      let key = String(decoding: record.objectKey, as: UTF8.self)
      try await installation.put(key, content(50_000, seed: 1), in: bucket, allowsInline: false)
    }
    let worker = UploadCleanupWorker(engine: installation.engine, log: .none)
    installation.clock.advance(seconds: 3000)
    let active = try await session(installation, bucket, "active")
    _ = try await installation.onPool { try await worker.step() }
    #expect(try await state(installation, abandoned) == .uploading)

    installation.clock.advance(seconds: 700)
    let outcome = try await installation.onPool { try await worker.step() }
    #expect(outcome == .idle(nextAfter: .seconds(300)))
    #expect(try await state(installation, abandoned) == .failed)
    #expect(try await state(installation, stored) == .failed)
    #expect(try await state(installation, done) == .completed)
    #expect(try await state(installation, active) == .uploading)
    #expect(worker.progress.itemsDone == 2)
    let key = String(decoding: stored.objectKey, as: UTF8.self)
    #expect(try await installation.lookUp(key, in: bucket) == nil)
    let kept = String(decoding: done.objectKey, as: UTF8.self)
    #expect(try await installation.lookUp(kept, in: bucket) != nil)
    #expect(try await installation.store.counts().tombstones == 1)
    await installation.close()
  }

  @Test("a session whose object was stored only lately is about to be completed")
  func lately() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 2))
    let bucket = try await installation.makeBucket("files", purpose: .files)
    let record = try await session(installation, bucket, "slow")
    installation.clock.advance(seconds: 7000)
    let key = String(decoding: record.objectKey, as: UTF8.self)
    try await installation.put(key, content(50_000, seed: 1), in: bucket, allowsInline: false)
    let worker = UploadCleanupWorker(engine: installation.engine, log: .none)
    _ = try await installation.onPool { try await worker.step() }
    #expect(try await state(installation, record) == .uploading)
    #expect(try await installation.lookUp(key, in: bucket) != nil)
    await installation.close()
  }

  @Test("multipart uploads are kept unless an age is set")
  func multipart() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 3))
    let bucket = try await installation.makeBucket()
    let upload = try await installation.engine.createUpload(
      bucket: bucket, key: Array("key".utf8), attributes: ObjectAttributes(),
      storageClass: "STANDARD", owner: Installation.owner, algorithm: nil, type: nil)
    _ = try await installation.engine.putPart(
      1, of: upload, bucket: bucket, from: ArraySource(content(50_000, seed: 1)),
      algorithms: [.crc64nvme])
    installation.clock.advance(seconds: 100 * 86_400)
    let keeping = UploadCleanupWorker(engine: installation.engine, log: .none)
    _ = try await installation.onPool { try await keeping.step() }
    #expect(try await installation.store.counts().uploads == 1)
    let aborting = UploadCleanupWorker(
      engine: installation.engine, multipartAge: .seconds(7 * 86_400), log: .none)
    _ = try await installation.onPool { try await aborting.step() }
    #expect(try await installation.store.counts().uploads == 0)
    #expect(try await installation.store.counts().tombstones == 1)
    await installation.close()
  }

  @Test("usage is folded and stays the same")
  func usage() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 4))
    let bucket = try await installation.putSamples()
    let before = try await installation.store.usage(of: bucket.id)
    #expect(before.objects == Int64(SampleObject.all.count))
    let worker = UsageWorker(metadata: installation.store)
    _ = try await worker.step()
    #expect(worker.progress.itemsDone > 0)
    let folded = worker.progress.itemsDone
    _ = try await worker.step()
    #expect(worker.progress.itemsDone == folded)
    #expect(try await installation.store.usage(of: bucket.id) == before)
    await installation.close()
  }

  @Test("memory goes back once nothing was lent for ten seconds, and once only")
  func memory() async throws {
    let buffers = BufferPool(limit: 1 << 20, cacheLimit: 1 << 20)
    let trims = Mutex(0)
    let trimmer = IdleTrimmer(
      buffers: [BufferPool(limit: 4096, cacheLimit: 0), buffers],
      memory: IdleTrimmer.Memory(trim: { trims.withLock { $0 += 1 } }, resident: { 0 }))
    let lent = try await buffers.acquire(4096)
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 0)
    buffers.release(lent)
    for _ in 0..<5 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 0)
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 1)
    let again = try await buffers.acquire(4096)
    _ = try await trimmer.step()
    buffers.release(again)
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 2)
    // Between two looks.
    buffers.release(try await buffers.acquire(4096))
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 3)
  }

  @Test("memory goes back again once it has grown though nothing was transferred, and is idle")
  func growth() async throws {
    let trims = Mutex(0)
    let resident = Mutex(50 << 20)
    let trimmer = IdleTrimmer(
      buffers: [BufferPool(limit: 4096, cacheLimit: 0)],
      memory: IdleTrimmer.Memory(
        trim: { trims.withLock { $0 += 1 } }, resident: { resident.withLock { $0 } }))
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 1)
    resident.withLock { $0 += IdleTrimmer.growth }
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 1)
    resident.withLock { $0 += 1 }
    for _ in 0..<5 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 1)
    // That it did not help is no reason to go on.
    for _ in 0..<20 { _ = try await trimmer.step() }
    #expect(trims.withLock { $0 } == 2)
  }

  @Test("stores are compacted in turn, and one that takes no writes is passed")
  func compaction() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 5))
    let worker = StoreCompactor(stores: installation.engine.stores)
    #expect(
      try await installation.onPool { try await worker.step() } == .idle(nextAfter: .seconds(300)))
    await installation.close()
    #expect(
      try await installation.onPool { try await worker.step() } == .idle(nextAfter: .seconds(300)))
  }

  @Test("a store that is not well is known to be so after a round of the monitor")
  func monitor() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 6))
    let stores = installation.engine.stores
    let monitor = StoreMonitor(stores: stores)
    stores.note(.full, of: installation.plan.stores[1])
    #expect(stores.state(of: installation.plan.stores[1]) == .full)
    #expect(
      try await installation.onPool { try await monitor.step() } == .idle(nextAfter: .seconds(5)))
    #expect(stores.state(of: installation.plan.stores[1]) == .active)
    #expect(monitor.progress.detail == "6 of 6 stores active")
    let gone = try #require(installation.hooks[3])
    await installation.onPool { await gone.close() }
    _ = try await installation.onPool { try await monitor.step() }
    #expect(stores.state(of: installation.plan.stores[3]) == .offline)
    await installation.close()
  }
}
