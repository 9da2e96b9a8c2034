internal import CGRPC
internal import Glibc
internal import Runtime
internal import Synchronization

/// Where batches of calls complete, and the threads that wait for them.
///
/// Channels, servers and calls keep their queue alive; the threads end after the last reference.
/// All input, decryption included, happens on these threads. On few processors one is enough, and
/// more cost more for each call; on many, one would be the bound of what the process can receive.
@safe
public final class CompletionQueue: @unchecked Sendable {
  /// The queue of this process, for whoever has no reason to have one of its own.
  public static let shared = CompletionQueue()

  let raw: OpaquePointer
  let watches = OperationWatches()

  /// Makes a queue and starts its threads: `threadCount`, 1 or more, or when that is nil one for
  /// each four processors, eight at most.
  public init(threadCount: Int? = nil) {
    GRPCLibrary.initialize()
    unsafe raw = grpc_completion_queue_create_for_next(nil)
    let count = max(1, threadCount ?? min(sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 4, 8))
    let poller = unsafe Poller(queue: raw, watches: watches, threadCount: count)
    for _ in 0..<count { Self.startThread(poller) }
  }

  deinit {
    // Nothing is outstanding, since that would hold a reference. The poller sees it and ends.
    unsafe grpc_completion_queue_shutdown(raw)
  }

  private static func startThread(_ poller: Poller) {
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(poller).toOpaque()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Poller>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument)
    precondition(status == 0, "no thread can be started")
    pthread_detach(thread)
  }
}

/// What the threads of one queue do.
@safe
private final class Poller: Sendable {
  private static let interval: Int64 = 250

  private nonisolated(unsafe) let queue: OpaquePointer
  private let watches: OperationWatches
  /// Threads that have not ended.
  private let running: Atomic<Int>
  /// When a thread looks after the watches next, in monotonic nanoseconds.
  private let nextScan = Atomic<UInt64>(0)

  init(queue: OpaquePointer, watches: OperationWatches, threadCount: Int) {
    unsafe self.queue = queue
    self.watches = watches
    running = Atomic(threadCount)
  }

  func run() {
    CurrentThread.setName("rpc")
    InlineExecutor.shared.withQueue { jobs in
      while true {
        let limit = gpr_time_add(
          gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(Self.interval, GPR_TIMESPAN))
        let event = unsafe grpc_completion_queue_next(queue, limit, nil)
        if unsafe event.type == GRPC_QUEUE_SHUTDOWN { break }
        if unsafe event.type == GRPC_OP_COMPLETE, let tag = unsafe event.tag {
          unsafe CompletionTag.take(tag, event.success != 0)
          jobs.drain()
        }
        scan()
      }
    }
    // The queue may go when nobody is in it any more.
    if running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
      unsafe grpc_completion_queue_destroy(queue)
    }
  }

  /// Looks after the watches when it is time, one thread for all.
  private func scan() {
    let due = nextScan.load(ordering: .relaxed)
    let now = MonotonicTime.nanoseconds
    guard now >= due else { return }
    let next = now + UInt64(Self.interval) * 1_000_000
    guard nextScan.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged
    else { return }
    watches.cancelExpired(now: now)
  }
}
