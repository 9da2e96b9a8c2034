import Glibc
public import Runtime
import Synchronization

/// Runs all tasks of a simulation on the thread that calls `run`, in an order that a seed decides,
/// and keeps a clock that jumps to the next timer whenever nothing else is to be done.
///
/// Tasks get there by a `ThreadPool` over it. A job that another thread hands in has escaped the
/// simulation on its way: it is counted in `strays`, and the run cannot be repeated.
public final class SimulatedScheduler: JobScheduler {
  /// How a run ended.
  public enum Outcome: Equatable, Sendable {
    /// The body returned and nothing is left to be done.
    case finished
    /// The body has not returned, and nothing can make it.
    case stuck
    /// It took more jobs than it may.
    case exhausted
  }

  struct Ready {
    var job: UnownedJob
    var executor: UnownedTaskExecutor
  }

  struct Timer {
    var id: UInt64
    var deadline: Int64
    var continuation: CheckedContinuation<Void, any Error>
  }

  struct State {
    var ready: [Ready] = []
    var timers: [Timer] = []
    /// Asked for and not in line yet; true once cancelled meanwhile.
    var arriving: [UInt64: Bool] = [:]
    var nextTimer: UInt64 = 0
    var nanoseconds: Int64 = 0
    var steps: UInt64 = 0
    var trace: UInt64 = 0xcbf2_9ce4_8422_2325
    var strays = 0
    var driver: pthread_t?
  }

  let state = Mutex(State())
  private let random: SeededRandom

  /// The same seed gives the same order.
  public init(seed: UInt64) {
    random = SeededRandom(seed: seed)
  }

  /// Nanoseconds since the simulation began.
  public var nanoseconds: Int64 { state.withLock { $0.nanoseconds } }

  /// Jobs run so far.
  public var steps: UInt64 { state.withLock { $0.steps } }

  /// A number that stands for everything that happened, in its order.
  public var trace: UInt64 { state.withLock { $0.trace } }

  /// Jobs that came from elsewhere than the thread of the simulation.
  public var strays: Int { state.withLock { $0.strays } }

  /// Tasks that sleep.
  public var sleepers: Int { state.withLock { $0.timers.count } }

  /// A number above all that were given before: the order of events.
  public func stamp() -> UInt64 {
    state.withLock { state in
      state.steps += 1
      return state.steps
    }
  }

  /// Makes an event a part of the trace.
  public func note(_ value: UInt64) {
    state.withLock { $0.note(value) }
  }

  /// Takes a job.
  public func enqueue(_ job: UnownedJob, on executor: UnownedTaskExecutor) {
    state.withLock { state in
      if state.driver != pthread_self() { state.strays += 1 }
      state.ready.append(Ready(job: job, executor: executor))
    }
  }

  /// Runs `body` as a task of `pool`, and all that comes of it, on the calling thread.
  public func run(
    on pool: ThreadPool, limit: UInt64 = 20_000_000, _ body: @escaping @Sendable () async -> Void
  ) -> Outcome {
    state.withLock { $0.driver = pthread_self() }
    let done = Flag()
    Task(executorPreference: pool) {
      await body()
      done.isSet.store(true, ordering: .relaxed)
    }
    while true {
      if let next = next() {
        next.job.runSynchronously(on: next.executor)
      } else if done.isSet.load(ordering: .relaxed) {
        return .finished
      } else if !fireTimers() {
        return .stuck
      }
      if steps > limit { return .exhausted }
    }
  }

  private final class Flag: Sendable {
    let isSet = Atomic(false)
  }

  private func next() -> Ready? {
    state.withLock { state in
      guard !state.ready.isEmpty else { return nil }
      let index = Int(random.next() % UInt64(state.ready.count))
      state.steps += 1
      state.note(UInt64(state.ready.count) << 32 | UInt64(index))
      let last = state.ready.count - 1
      state.ready.swapAt(index, last)
      return state.ready.removeLast()
    }
  }

  /// Moves the clock to the next deadline; false when nobody waits for one.
  private func fireTimers() -> Bool {
    let due = state.withLock { state -> [Timer] in
      guard let first = state.timers.first else { return [] }
      state.nanoseconds = max(state.nanoseconds, first.deadline)
      state.note(UInt64(bitPattern: state.nanoseconds))
      let count = state.timers.prefix { $0.deadline <= first.deadline }.count
      defer { state.timers.removeFirst(count) }
      return Array(state.timers.prefix(count))
    }
    for timer in due { timer.continuation.resume() }
    return !due.isEmpty
  }
}

extension SimulatedScheduler.State {
  mutating func note(_ value: UInt64) {
    trace = (trace ^ value) &* 0x0000_0100_0000_01b3
    trace ^= trace >> 29
  }

  mutating func add(_ timer: SimulatedScheduler.Timer) {
    let place = timers.lastIndex { $0.deadline <= timer.deadline }.map { $0 + 1 } ?? 0
    timers.insert(timer, at: place)
  }
}
