import Base
import Cluster
import Foundation
import Metadata
import ObjectEngine
import Runtime
import Testing

struct Triple: Sendable, CustomTestStringConvertible {
  let members: [Int]

  static let all = (0..<4).flatMap { first in
    (first + 1..<5).flatMap { second in
      (second + 1..<6).map { Triple(members: [first, second, $0]) }
    }
  }

  var testDescription: String { "stores \(members)" }
}

extension Installation {
  /// Checks that chunked samples end in a clean error and that the others read.
  func expectOnlyInline(_ stage: String) async throws {
    let bucket = try await sampleBucket()
    for sample in SampleObject.all {
      if sample.isInline {
        #expect(try await read(sample.key, in: bucket) == sample.content, "\(stage)")
        continue
      }
      await #expect("\(stage): \(sample.key)") {
        _ = try await self.read(sample.key, in: bucket)
      } throws: { error in
        guard case EngineError.unreadable(let available, 4) = error else { return false }
        return available < 4
      }
    }
  }

  /// Lets every worker do what it can for a while.
  func runAllWorkers(_ background: BackgroundWork) async throws {
    let workers: [any BackgroundWorker] = [
      TombstoneWorker(engine: engine, delay: .zero, log: .none),
      SweepWorker(engine: engine, log: .none), RepairWorker(repairer: background.repairer),
      UploadCleanupWorker(engine: engine, log: .none),
    ]
    for _ in 0..<20 {
      for worker in workers { _ = try await onPool { try await worker.step() } }
    }
  }
}

@Suite("Loss of more than parity makes good")
struct TripleLossTests {
  @Test(
    "three stores without their chunks: clean errors, inline objects read, nothing is deleted, and all is well when they are back",
    arguments: Triple.all)
  func missing(triple: Triple) async throws {
    let plan = try await Template.samples.value.copy()
    let paths = triple.members.flatMap { index in
      ["chunks", "volumes"].map { plan.path(ofStore: index) + "/" + $0 }
    }
    for path in paths {
      try FileManager.default.moveItem(atPath: path, toPath: path + ".aside")
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: false)
    }
    var installation = try await Installation.open(plan)
    let before = try await installation.chunks()
    try await installation.expectOnlyInline("lost")
    let background = BackgroundWork(
      engine: installation.engine, pool: Installation.pool, log: .none)
    let report = try await installation.onPool { try await background.scrub.runRequested() }
    #expect(report.unreadableExtents == report.extents)
    #expect(report.repaired == 0)
    #expect(!report.isClean)
    try await installation.runAllWorkers(background)
    try await installation.expectOnlyInline("after scrub and repair")
    #expect(try await installation.chunks() == before)
    await installation.close()

    for path in paths {
      try FileManager.default.removeItem(atPath: path)
      try FileManager.default.moveItem(atPath: path + ".aside", toPath: path)
    }
    installation = try await Installation.open(plan)
    #expect(try await installation.unreadableSamples() == [])
    let after = BackgroundWork(engine: installation.engine, pool: Installation.pool, log: .none)
    let healed = try await installation.onPool { try await after.scrub.runRequested() }
    #expect(healed.goodChunks == healed.chunks)
    await installation.close()
  }

  @Test("three stores out of reach: the same, and nothing is queued for repair on that account")
  func unreachable() async throws {
    let plan = try await Template.samples.value.copy()
    for index in [0, 2, 5] {
      try FileManager.default.moveItem(
        atPath: plan.path(ofStore: index), toPath: plan.path(ofStore: index) + ".away")
    }
    var installation = try await Installation.open(plan)
    try await installation.expectOnlyInline("away")
    let background = BackgroundWork(
      engine: installation.engine, pool: Installation.pool, log: .none)
    let report = try await installation.onPool { try await background.scrub.runRequested() }
    #expect(report.unreadableExtents == report.extents)
    #expect(report.unreachable == 3 * report.extents)
    #expect(report.missing + report.corrupt == 0)
    #expect(try await installation.store.counts().repairs == 0)
    try await installation.runAllWorkers(background)
    #expect(try await !installation.store.unsweptEpochs().isEmpty)
    await installation.close()
    for index in [0, 2, 5] {
      try FileManager.default.moveItem(
        atPath: plan.path(ofStore: index) + ".away", toPath: plan.path(ofStore: index))
    }
    installation = try await Installation.open(plan)
    #expect(try await installation.unreadableSamples() == [])
    await installation.close()
  }

  @Test("chunks that are bad in different places still suffice, stripe by stripe")
  func scattered() async throws {
    let plan = try await Template.samples.value.copy()
    let installation = try await Installation.open(plan)
    let bucket = try await installation.sampleBucket()
    let extent = try #require(await installation.extents(of: "stripes", in: bucket).first)
    // Three chunks are bad: the first in stripe 0, the second in stripe 1, the third in stripe 2.
    for chunk in 0..<3 {
      let place = try #require(installation.place(extent, chunk))
      let name = "\(extent.id)-\(chunk)"
      let path = try #require(plan.chunkFiles(ofStore: place).first { $0.hasSuffix(name) })
      let handle = try #require(FileHandle(forUpdatingAtPath: path))
      try handle.seek(toOffset: UInt64(4096 + chunk * 262_144 + 77))
      let byte = try #require(try handle.read(upToCount: 1)?.first)
      try handle.seek(toOffset: UInt64(4096 + chunk * 262_144 + 77))
      try handle.write(contentsOf: [byte ^ 1])
      try handle.close()
    }
    let background = BackgroundWork(
      engine: installation.engine, pool: Installation.pool, log: .none)
    let report = try await installation.onPool { try await background.scrub.runRequested() }
    #expect(report.corrupt == 3)
    #expect(report.repaired == 3)
    #expect(report.isClean)
    #expect(try await installation.unreadableSamples() == [])
    await installation.close()
  }
}
