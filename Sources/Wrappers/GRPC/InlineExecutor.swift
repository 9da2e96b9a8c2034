internal import Glibc

/// Runs jobs on the poller thread that made them ready, right behind the event that did.
///
/// That saves a wake-up for each event. Jobs from other threads go to the default pool. What
/// blocks must not run here: it would hold up all calls of the queue.
@safe
public final class InlineExecutor: TaskExecutor, @unchecked Sendable {
  /// The one executor; it has no state of its own.
  public static let shared = InlineExecutor()

  private let key: pthread_key_t

  private init() {
    var key = pthread_key_t()
    precondition(unsafe pthread_key_create(&key, nil) == 0, "no thread-local storage is left")
    self.key = key
  }

  /// Queues a job behind the current event, or in the default pool.
  public func enqueue(_ job: consuming ExecutorJob) {
    if let pointer = unsafe pthread_getspecific(key) {
      unsafe Unmanaged<RunQueue>.fromOpaque(pointer).takeUnretainedValue()
        .jobs.append(UnownedJob(job))
    } else {
      globalConcurrentExecutor.enqueue(job)
    }
  }

  /// Gives the current thread a queue for as long as `body` runs.
  func withQueue(_ body: (RunQueue) -> Void) {
    let queue = RunQueue()
    unsafe pthread_setspecific(key, Unmanaged.passUnretained(queue).toOpaque())
    body(queue)
    pthread_setspecific(key, nil)
    queue.drain()
  }
}

/// The jobs of one poller thread.
final class RunQueue {
  fileprivate var jobs: [UnownedJob] = []
  private var head = 0

  /// Runs what is queued, and what that queues.
  func drain() {
    guard !jobs.isEmpty else { return }
    let executor = unsafe InlineExecutor.shared.asUnownedTaskExecutor()
    while head < jobs.count {
      let job = jobs[head]
      head += 1
      unsafe job.runSynchronously(on: executor)
    }
    jobs.removeAll(keepingCapacity: true)
    head = 0
  }
}
