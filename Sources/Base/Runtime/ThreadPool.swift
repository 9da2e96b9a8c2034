import CPlatform
import Glibc

/// Threads for work that may block: files, `fsync`, SQL, and long computations.
///
/// It is a `TaskExecutor`: `withTaskExecutorPreference(pool) { … }` or `pool.run { … }` moves a
/// piece of work there. Jobs start in the order they were enqueued. The threads live as long as
/// the process; a pool is made once and never closed.
///
/// A pool over a `JobScheduler` has no threads: the scheduler decides which job runs when.
@safe
public final class ThreadPool: TaskExecutor, @unchecked Sendable {
  /// The name that its threads carry in a profile, at most 15 bytes.
  public let name: String
  /// How many threads it has.
  public let threadCount: Int

  private let scheduler: (any JobScheduler)?
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  /// What idle threads wait for. No condition variable: that of glibc before 2.41 loses a signal
  /// now and then when several threads wait (its bug 25847), and with `isWaking` set for good no
  /// thread of the pool would be woken any more.
  private let wakeUps: UnsafeMutablePointer<sem_t>
  // All are guarded by `mutex`.
  private var jobs: [UnownedJob] = []
  private var head = 0
  private var idle = 0
  /// Whether a thread was woken that does not run yet. It wakes the next one itself when there is
  /// more to do: a burst of jobs costs no more wake-ups than threads that find work.
  private var isWaking = false

  /// Starts `threadCount` threads.
  ///
  /// Precondition: `threadCount` is positive.
  public init(name: String, threadCount: Int) {
    precondition(threadCount > 0, "a pool has threads")
    self.name = name
    self.threadCount = threadCount
    scheduler = nil
    unsafe mutex = .allocate(capacity: 1)
    unsafe wakeUps = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe sem_init(wakeUps, 0, 0)
    jobs.reserveCapacity(256)
    for _ in 0..<threadCount { start() }
  }

  /// Makes a pool without threads, whose jobs go to `scheduler`; it lives until all of them ended.
  public init(name: String, scheduler: any JobScheduler) {
    self.name = name
    threadCount = 1
    self.scheduler = scheduler
    unsafe mutex = .allocate(capacity: 1)
    unsafe wakeUps = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe sem_init(wakeUps, 0, 0)
  }

  deinit {
    // A thread holds its pool for ever, so this can only be a pool without threads.
    unsafe sem_destroy(wakeUps)
    unsafe pthread_mutex_destroy(mutex)
    unsafe wakeUps.deallocate()
    unsafe mutex.deallocate()
  }

  /// Queues a job for the next free thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    if let scheduler {
      return unsafe scheduler.enqueue(unowned, on: asUnownedTaskExecutor())
    }
    unsafe pthread_mutex_lock(mutex)
    jobs.append(unowned)
    let wake = idle > 0 && !isWaking
    if wake { isWaking = true }
    unsafe pthread_mutex_unlock(mutex)
    if wake { unsafe sem_post(wakeUps) }
  }

  /// Runs `body` on one of the threads and returns what it returns.
  public func run<R: Sendable, E: Error>(
    _ body: @Sendable () throws(E) -> R
  ) async throws(E) -> sending R {
    let result: Result<R, E> = await withTaskExecutorPreference(self) {
      await Self.call(body)
    }
    return try result.get()
  }

  /// Starts work that lives as long as the process and that nothing waits for, such as waiting for
  /// signals. The one place for it: all other work is structured.
  public func detach(_ body: @escaping @Sendable () async -> Void) {
    Task(executorPreference: self) { await body() }
  }

  @concurrent
  private static func call<R: Sendable, E: Error>(
    _ body: @Sendable () throws(E) -> R
  ) async -> Result<R, E> {
    do throws(E) { return .success(try body()) } catch { return .failure(error) }
  }

  private func start() {
    let retained = unsafe Unmanaged.passRetained(self)
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let pool = unsafe Unmanaged<ThreadPool>.fromOpaque(argument).takeRetainedValue()
        CurrentThread.setName(pool.name)
        pool.work()
        return nil
      }, retained.toOpaque())
    precondition(status == 0, "no thread can be started")
    pthread_detach(thread)
  }

  private func work() {
    let executor = unsafe asUnownedTaskExecutor()
    while true {
      unsafe pthread_mutex_lock(mutex)
      while head == jobs.count {
        idle += 1
        unsafe pthread_mutex_unlock(mutex)
        while unsafe sem_wait(wakeUps) != 0 && errno == EINTR {}
        unsafe pthread_mutex_lock(mutex)
        idle -= 1
        isWaking = false
      }
      let job = jobs[head]
      head += 1
      if head == jobs.count {
        jobs.removeAll(keepingCapacity: true)
        head = 0
      } else if head >= 1024 {
        jobs.removeFirst(head)
        head = 0
      }
      let wake = head < jobs.count && idle > 0 && !isWaking
      if wake { isWaking = true }
      unsafe pthread_mutex_unlock(mutex)
      if wake { unsafe sem_post(wakeUps) }
      unsafe job.runSynchronously(on: executor)
    }
  }
}
