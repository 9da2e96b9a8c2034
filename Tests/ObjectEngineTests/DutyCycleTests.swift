import ChunkStore
import Cluster
import ObjectEngine
import Runtime
import TestSupport
import Testing

@Suite("Duty cycle")
struct DutyCycleTests {
  private static let longestRest = Duration.seconds(30)

  @Test("a long step rests after each slice, and between steps for what is left")
  func slices() async throws {
    let clock = InstantClock(maximumSleeps: 4)
    let worker = ScriptedWorker(dutyCycle: 0.25) { _ in
      for _ in 0..<3 {
        clock.advance(by: .milliseconds(10))
        try await DutyCycle.current?.rest()
      }
      clock.advance(by: .milliseconds(2))
      return .throttled
    }
    let supervisor = WorkerSupervisor(
      workers: [worker], clock: clock, wallClock: ManualClock(), pool: Installation.pool,
      log: .none)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await supervisor.run() }
      while clock.sleeps.count < 4 { await Task.yield() }
      group.cancelAll()
    }
    #expect(clock.sleeps == [30, 30, 30, 6].map { Duration.milliseconds($0) })
  }

  @Test("less work than a slice does not rest, and is not forgotten")
  func short() async throws {
    let clock = InstantClock()
    let cycle = DutyCycle(0.5, clock: clock, longestRest: Self.longestRest)
    clock.advance(by: .milliseconds(4))
    try await cycle.rest()
    #expect(clock.sleeps.isEmpty)
    clock.advance(by: .milliseconds(4))
    try await cycle.rest()
    #expect(clock.sleeps == [.milliseconds(8)])
    clock.advance(by: .seconds(100))
    try await cycle.rest()
    #expect(clock.sleeps.last == Self.longestRest)
  }

  @Test(
    "a repair rests between its stripes, unless one more loss would be one of content",
    arguments: [(chunks: [1], isRested: true), (chunks: [1, 4], isRested: false)])
  func repair(chunks: [Int], isRested: Bool) async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 71))
    let bucket = try await installation.makeBucket()
    try await installation.put("key", content(9_000_000, seed: 71), in: bucket)
    let extent = try #require(await installation.extents(of: "key", in: bucket).first)
    let stripes = try ObjectEngine.geometry(of: extent).stripeCount
    try #require(stripes > 1)
    var lost: UInt32 = 0
    for chunk in chunks {
      lost |= 1 << UInt32(chunk)
      let place = try #require(installation.place(extent, chunk))
      let store = try #require(installation.hooks[place]).local()
      let id = ChunkID(extent: extent.id, index: UInt8(chunk))
      try await installation.onPool { try await store.delete([id]) }
    }
    try await installation.store.queueRepair(extent.id, chunks: lost, reason: "test")
    let clock = InstantClock(tick: DutyCycle.slice)
    let worker = RepairWorker(
      repairer: ExtentRepairer(engine: installation.engine, log: .none))
    let cycle = DutyCycle(0.5, clock: clock, longestRest: Self.longestRest)
    let outcome = try await installation.onPool {
      try await DutyCycle.$current.withValue(cycle) { try await worker.step() }
    }
    #expect(outcome == (isRested ? .throttled : .busy))
    #expect(isRested ? clock.sleeps.count > 1 : clock.sleeps.isEmpty)
    #expect(worker.progress.itemsDone == chunks.count)
    await installation.close()
  }
}
