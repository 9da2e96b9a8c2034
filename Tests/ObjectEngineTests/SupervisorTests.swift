import Base
import Cluster
import Runtime
import Synchronization
import TestSupport
import Testing

/// A clock on which waiting takes no time: it notes how long was asked for and moves on, and by a
/// tick whenever it is looked at.
final class InstantClock: Clock {
  struct Instant: InstantProtocol {
    var offset: Duration
    func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
    func duration(to other: Instant) -> Duration { other.offset - offset }
    static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  private struct State {
    var now = Instant(offset: .zero)
    var sleeps: [Duration] = []
  }

  private let state = Mutex(State())
  private let maximumSleeps: Int
  private let tick: Duration

  /// After so many waits the next one never ends but by cancellation.
  init(maximumSleeps: Int = .max, tick: Duration = .zero) {
    self.maximumSleeps = maximumSleeps
    self.tick = tick
  }

  var now: Instant {
    state.withLock { state in
      state.now.offset += tick
      return state.now
    }
  }
  var minimumResolution: Duration { .nanoseconds(1) }
  var sleeps: [Duration] { state.withLock { $0.sleeps } }

  func advance(by duration: Duration) { state.withLock { $0.now.offset += duration } }

  func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    let isLast = state.withLock { state in
      state.sleeps.append(deadline.offset - state.now.offset)
      state.now = max(state.now, deadline)
      return state.sleeps.count >= maximumSleeps
    }
    await Task.yield()
    if isLast { for await _ in AsyncStream<Void>.makeStream().stream {} }
    try Task.checkCancellation()
  }
}

/// A worker that does what a test says, step by step.
final class ScriptedWorker: BackgroundWorker {
  let name: String
  let dutyCycle: Double
  let maximumLanes: Int
  private let open: Mutex<Int>
  private let count = Mutex(0)
  private let body: @Sendable (Int) async throws -> StepOutcome

  init(
    _ name: String = "scripted", dutyCycle: Double = 1, lanes: Int = 1, of maximumLanes: Int = 1,
    _ body: @escaping @Sendable (Int) async throws -> StepOutcome
  ) {
    self.name = name
    self.dutyCycle = dutyCycle
    self.maximumLanes = maximumLanes
    open = Mutex(lanes)
    self.body = body
  }

  var lanes: Int {
    get { open.withLock { $0 } }
    set { open.withLock { $0 = newValue } }
  }

  var progress: WorkerProgress { WorkerProgress(itemsDone: count.withLock { $0 }) }

  func step() async throws -> StepOutcome {
    let number = count.withLock { count in
      count += 1
      return count
    }
    return try await body(number)
  }
}

@Suite("Supervisor")
struct SupervisorTests {
  struct Failure: Error, CustomStringConvertible {
    var description: String { "it failed" }
  }

  /// Runs a supervisor until `isDone`.
  private func run(
    _ supervisor: WorkerSupervisor, until isDone: @escaping @Sendable () -> Bool
  ) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await supervisor.run() }
      while !isDone() { await Task.yield() }
      group.cancelAll()
    }
  }

  private func supervisor(
    _ workers: [any BackgroundWorker], _ clock: InstantClock
  ) -> WorkerSupervisor {
    WorkerSupervisor(
      workers: workers, clock: clock, wallClock: ManualClock(), pool: Installation.pool,
      log: .none)
  }

  @Test("delays double after each error up to a minute, and an error that is over is forgotten")
  func backoff() async {
    let clock = InstantClock(maximumSleeps: 10)
    let worker = ScriptedWorker { number in
      if number <= 8 { throw Failure() }
      return .idle(nextAfter: .seconds(7))
    }
    let supervisor = supervisor([worker], clock)
    await run(supervisor) { clock.sleeps.count == 10 }
    #expect(
      clock.sleeps == [1, 2, 4, 8, 16, 32, 60, 60, 7, 7].map { Duration.seconds($0) })
    let status = supervisor.statuses[0]
    #expect((status.runs, status.errors) == (10, 8))
    #expect(status.lastError == nil)
    #expect(status.activity == .stopped)
    #expect(status.lastRun != nil)
  }

  @Test("a failing worker says why and does not stop the others")
  func independence() async {
    let clock = InstantClock()
    let good = ScriptedWorker("good") { _ in .idle(nextAfter: .seconds(1)) }
    let bad = ScriptedWorker("bad") { _ in throw Failure() }
    let supervisor = supervisor([bad, good], clock)
    await run(supervisor) {
      good.progress.itemsDone > 5 && supervisor.statuses[0].errors > 5
    }
    let statuses = supervisor.statuses
    #expect(statuses.map(\.name) == ["bad", "good"])
    #expect(statuses[0].lastError == "it failed")
    #expect(statuses[0].errors == statuses[0].runs)
    #expect(statuses[1].errors == 0)
  }

  @Test("a throttled worker rests as its duty cycle says, one that is busy does not")
  func dutyCycle() async {
    let clock = InstantClock(maximumSleeps: 3)
    let worker = ScriptedWorker(dutyCycle: 0.25) { number in
      clock.advance(by: .seconds(number < 4 ? 2 : 100))
      return number == 2 ? .busy : .throttled
    }
    await run(supervisor([worker], clock)) { clock.sleeps.count == 3 }
    #expect(clock.sleeps == [.seconds(6), .seconds(6), WorkerSupervisor.longestRest])
  }

  @Test("a worker has as many steps at a time as it has lanes, each with its own duty cycle")
  func lanes() async {
    let clock = InstantClock()
    // Steps that have begun; they never end.
    let begun = Mutex<[DutyCycle?]>([])
    let worker = ScriptedWorker(lanes: 2, of: 4) { _ in
      begun.withLock { $0.append(DutyCycle.current) }
      for await _ in AsyncStream<Void>.makeStream().stream {}
      throw CancellationError()
    }
    let supervisor = supervisor([worker], clock)
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await supervisor.run() }
      for lanes in [2, 3] {
        worker.lanes = lanes
        while begun.withLock({ $0.count }) < lanes { await Task.yield() }
        // The other lanes have had every chance.
        let looked = clock.sleeps.count
        while clock.sleeps.count < looked + 50, begun.withLock({ $0.count }) == lanes {
          await Task.yield()
        }
        #expect(begun.withLock { $0.count } == lanes)
        #expect(supervisor.statuses.map(\.activity) == [.working])
      }
      group.cancelAll()
    }
    #expect(Set(begun.withLock { $0 }.compactMap { $0.map(ObjectIdentifier.init) }).count == 3)
    #expect(supervisor.statuses.map(\.activity) == [.stopped])
  }

  @Test("cancelling ends a worker that waits and one that works")
  func cancellation() async {
    let clock = InstantClock(maximumSleeps: 1)
    let waiting = ScriptedWorker("waiting") { _ in .idle(nextAfter: .seconds(1)) }
    let working = ScriptedWorker("working") { _ in
      for await _ in AsyncStream<Void>.makeStream().stream {}
      throw CancellationError()
    }
    let supervisor = supervisor([waiting, working], clock)
    await run(supervisor) {
      clock.sleeps.count == 1 && working.progress.itemsDone == 1
    }
    #expect(supervisor.statuses.map(\.activity) == [.stopped, .stopped])
    #expect(supervisor.statuses[1].errors == 0)
  }

  @Test("all workers of an installation run together and come to rest")
  func everything() async throws {
    let installation = try await Installation.open(InstallationPlan(seed: 1))
    let bucket = try await installation.putSamples()
    _ = try await installation.engine.delete(bucket: bucket.id, key: Array("stripes".utf8))
    let background = BackgroundWork(
      engine: installation.engine, pool: Installation.pool, log: .none)
    background.scrub.request()
    await run(background.supervisor) {
      background.scrub.report.state == .finished
        && background.supervisor.statuses.allSatisfy { $0.runs > 0 }
    }
    let statuses = background.supervisor.statuses
    #expect(statuses.count == 12)
    #expect(Set(statuses.map(\.name)).count == 12)
    #expect(statuses.allSatisfy { $0.errors == 0 }, "\(statuses)")
    #expect(background.scrub.report.isClean)
    await installation.close()
  }
}
