import Base
public import Runtime
import Synchronization
public import Telemetry

/// Runs background workers until it is cancelled, each lane of each as a task of its own.
///
/// A lane that fails goes on after a delay that doubles from `leastDelay` to the worker's
/// `longestDelay`; it never stops the others.
public final class WorkerSupervisor: Sendable {
  /// The delay after a first error.
  public static let leastDelay: Duration = .seconds(1)
  /// The delay after many errors in a row.
  public static let longestDelay: Duration = .seconds(60)
  /// The longest rest that a duty cycle asks for at once.
  public static let longestRest: Duration = .seconds(30)
  /// How soon it is looked again whether there are more lanes.
  public static let laneInterval: Duration = .seconds(10)

  private struct Record {
    /// What each lane is at.
    var lanes: [BackgroundWorkerStatus.Activity]
    var runs = 0
    var errors = 0
    var lastError: String?
    var lastRun: Timestamp?

    var activity: BackgroundWorkerStatus.Activity {
      [.working, .failing, .waiting].first { lanes.contains($0) } ?? .stopped
    }
  }

  private let workers: [any BackgroundWorker]
  private let clock: any Clock<Duration>
  private let wallClock: any WallClock
  private let pool: ThreadPool
  private let urgentPool: ThreadPool
  private let log: Log
  private let records: Mutex<[Record]>

  /// Supervises `workers`, whose steps run on `pool`, those of urgent ones on `urgentPool` if one is
  /// given; waits by `clock`.
  public init(
    workers: [any BackgroundWorker], clock: any Clock<Duration> = ContinuousClock(),
    wallClock: any WallClock, pool: ThreadPool, urgentPool: ThreadPool? = nil, log: Log
  ) {
    self.urgentPool = urgentPool ?? pool
    self.workers = workers
    self.clock = clock
    self.wallClock = wallClock
    self.pool = pool
    self.log = log.named("background")
    records = Mutex(
      workers.map { Record(lanes: Array(repeating: .stopped, count: max(1, $0.maximumLanes))) })
  }

  /// How all workers fare, in the order in which they were given.
  public var statuses: [BackgroundWorkerStatus] {
    let records = records.withLock { $0 }
    return zip(workers, records).map { worker, record in
      BackgroundWorkerStatus(
        name: worker.name, activity: record.activity, runs: record.runs, errors: record.errors,
        lastError: record.lastError, lastRun: record.lastRun, progress: worker.progress)
    }
  }

  /// Runs the workers; returns once the task is cancelled and every step has come to its end.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      for index in workers.indices {
        let isUrgent = workers[index].isUrgent
        for lane in 0..<max(1, workers[index].maximumLanes) {
          group.addTask(executorPreference: isUrgent ? urgentPool : pool) {
            await self.drive(index, lane)
          }
        }
      }
    }
  }

  private func drive(_ index: Int, _ lane: Int) async {
    var failures = 0
    while !Task.isCancelled {
      let isOpen = lane < max(1, workers[index].lanes)
      if !isOpen { update(index) { $0.lanes[lane] = .stopped } }
      let pause = isOpen ? await step(index, lane, &failures) : Self.laneInterval
      guard pause > .zero else {
        // Other work of the pool gets its turn between two steps.
        await Task.yield()
        continue
      }
      do { try await clock.sleep(for: pause) } catch { break }
    }
    update(index) { $0.lanes[lane] = .stopped }
  }

  /// Does one step and says how long to wait before the next.
  private func step(_ index: Int, _ lane: Int, _ failures: inout Int) async -> Duration {
    let worker = workers[index]
    let now = wallClock.now
    update(index) { record in
      record.lanes[lane] = .working
      record.lastRun = now
    }
    do {
      let cycle = dutyCycle(worker, clock)
      let outcome = try await DutyCycle.$current.withValue(cycle) { try await worker.step() }
      failures = 0
      update(index) { record in
        record.lanes[lane] = .waiting
        record.runs += 1
        record.lastError = nil
      }
      switch outcome {
      case .busy: return .zero
      case .idle(let nextAfter): return nextAfter
      case .throttled: return cycle.due
      }
    } catch {
      if Task.isCancelled { return .zero }
      failures += 1
      let text = "\(error)"
      update(index) { record in
        record.lanes[lane] = .failing
        record.runs += 1
        record.errors += 1
        record.lastError = text
      }
      if failures == 1 {
        log.warning(
          "background work failed and is tried again", [("worker", worker.name), ("error", text)])
      }
      return min(worker.longestDelay, Self.delay(afterFailures: failures))
    }
  }

  private func update(_ index: Int, _ change: (inout Record) -> Void) {
    records.withLock { change(&$0[index]) }
  }

  private func dutyCycle<C: Clock<Duration>>(
    _ worker: any BackgroundWorker, _ clock: C
  ) -> DutyCycle {
    DutyCycle(worker.dutyCycle, clock: clock, longestRest: Self.longestRest)
  }

  /// How long to wait after so many failures in a row.
  static func delay(afterFailures count: Int) -> Duration {
    min(longestDelay, leastDelay * (1 << min(max(count, 1) - 1, 16)))
  }
}
