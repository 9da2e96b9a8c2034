import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Scrub")
struct ScrubTests {
  private func lose(_ chunk: Int, of key: String, _ installation: Installation) async throws {
    let bucket = try await installation.sampleBucket()
    let extent = try #require(await installation.extents(of: key, in: bucket).first)
    let place = try #require(installation.place(extent, chunk))
    let store = try #require(installation.hooks[place]).local()
    let id = ChunkID(extent: extent.id, index: UInt8(chunk))
    try await installation.onPool { try await store.delete([id]) }
  }

  @Test("once in the period every chunk is verified and what is bad is queued")
  func periodic() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 1))
    _ = try await installation.putSamples()
    let repairer = ExtentRepairer(engine: installation.engine, log: .none)
    let scrub = ScrubWorker(repairer: repairer, log: .none)
    let idle = StepOutcome.idle(nextAfter: .seconds(1))
    #expect(try await installation.onPool { try await scrub.step() } == idle)
    try await lose(2, of: "stripes", installation)
    installation.clock.advance(seconds: 30 * 86_400 - 1)
    #expect(try await installation.onPool { try await scrub.step() } == idle)
    #expect(scrub.progress.itemsDone == 0)
    installation.clock.advance(seconds: 2)
    while try await installation.onPool({ try await scrub.step() }) == .throttled {}
    #expect(scrub.progress.itemsDone == 7)
    let queued = try await installation.store.repairs(limit: 10)
    #expect(queued.map(\.chunks) == [0b100])
    #expect(scrub.report.state == .none)
    // The next pass is due a period later.
    installation.clock.advance(seconds: 86_400)
    #expect(try await installation.onPool { try await scrub.step() } == idle)
    await installation.close()
  }

  @Test("a periodic pass goes on after a restart where it was")
  func resumes() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 2))
    let bucket = try await installation.makeBucket()
    // More than one page of extents, so that the cursor was written.
    for number in 0..<70 {
      try await installation.put(
        "\(number)", content(100, seed: 1), in: bucket, allowsInline: false)
    }
    let repairer = ExtentRepairer(engine: installation.engine, log: .none)
    let first = ScrubWorker(repairer: repairer, log: .none)
    _ = try await installation.onPool { try await first.step() }
    installation.clock.advance(seconds: 31 * 86_400)
    for _ in 0..<68 { _ = try await installation.onPool { try await first.step() } }
    #expect(first.progress.itemsDone == 67)
    let second = ScrubWorker(repairer: repairer, log: .none)
    while try await installation.onPool({ try await second.step() }) == .throttled {}
    #expect(second.progress.itemsDone == 5)
    await installation.close()
  }

  @Test("never by itself without a period, and one at a time on request")
  func request() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 3))
    _ = try await installation.putSamples()
    let repairer = ExtentRepairer(engine: installation.engine, log: .none)
    let scrub = ScrubWorker(repairer: repairer, period: nil, log: .none)
    installation.clock.advance(seconds: 365 * 86_400)
    #expect(
      try await installation.onPool { try await scrub.step() } == .idle(nextAfter: .seconds(1)))
    #expect(scrub.request())
    #expect(!scrub.request())
    #expect(scrub.report.state == .running)
    var steps = 0
    while scrub.report.state == .running, steps < 100 {
      #expect(try await installation.onPool { try await scrub.step() } == .busy)
      steps += 1
    }
    let report = scrub.report
    #expect(report.state == .finished)
    #expect(report.finished != nil)
    #expect((report.extents, report.totalExtents) == (7, 7))
    #expect((report.goodChunks, report.inlineObjects) == (42, 2))
    #expect(report.isClean)
    #expect(scrub.request())
    await installation.close()
  }

  @Test("objects kept in the metadata that do not open are found")
  func inline() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 4))
    let bucket = try await installation.makeBucket()
    try await installation.put("good", content(500, seed: 1), in: bucket)
    var sealed = content(516, seed: 8)
    sealed[0] ^= 1
    _ = try await installation.store.commit(
      ObjectCommit(
        bucket: bucket.id, key: Array("bad".utf8),
        version: installation.engine.writer.nextOpaqueID(),
        content: .inline(
          InlineData(
            extent: installation.engine.writer.nextExtent(),
            wrappedKey: try #require(await installation.lookUp("good", in: bucket)?.inline)
              .wrappedKey,
            transform: 0, sealed: sealed)),
        size: 500, etag: "e", attributes: ObjectAttributes(), checksum: nil,
        storageClass: "STANDARD", owner: Installation.owner, condition: .none))
    let scrub = ScrubWorker(
      repairer: ExtentRepairer(engine: installation.engine, log: .none), log: .none)
    let report = try await installation.onPool { try await scrub.runRequested() }
    #expect((report.inlineObjects, report.corruptInlineObjects) == (2, 1))
    #expect(!report.isClean)
    await installation.close()
  }

  @Test("an extent deleted while it is verified is not reported")
  func deletedMeanwhile() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 5))
    let bucket = try await installation.putSamples()
    let extent = try #require(await installation.extents(of: "one-stripe", in: bucket).first)
    let once = Once()
    installation.interceptAll { call throws(ChunkStoreError) in
      guard case .verify(let id) = call, id.extent == extent.id, once.first() else { return }
      do {
        _ = try await installation.engine.delete(bucket: bucket.id, key: Array("one-stripe".utf8))
        let worker = TombstoneWorker(engine: installation.engine, delay: .zero, log: .none)
        installation.clock.advance(seconds: 1)
        _ = try await worker.step()
      } catch { throw .io("\(error)") }
    }
    let scrub = ScrubWorker(
      repairer: ExtentRepairer(engine: installation.engine, log: .none), log: .none)
    let report = try await installation.onPool { try await scrub.runRequested() }
    #expect(once.hasHappened)
    #expect(report.isClean)
    #expect(report.missing + report.corrupt == 0)
    #expect(try await installation.store.counts().repairs == 0)
    await installation.close()
  }

  @Test("a scrub that the metadata does not answer fails in the end, and can be asked for again")
  func fails() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 6))
    let scrub = ScrubWorker(
      repairer: ExtentRepairer(engine: installation.engine, log: .none), log: .none)
    await installation.close()
    scrub.request()
    for _ in 0..<5 {
      await #expect(throws: (any Error).self) {
        _ = try await installation.onPool { try await scrub.step() }
      }
    }
    guard case .failed = scrub.report.state else {
      Issue.record("the scrub is \(scrub.report.state)")
      return
    }
    #expect(scrub.request())
  }
}
