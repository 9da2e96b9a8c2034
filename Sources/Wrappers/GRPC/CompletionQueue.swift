internal import CGRPC
internal import Glibc
internal import Runtime
internal import Synchronization

/// Where batches of calls complete, and the thread that waits for them.
///
/// Channels, servers and calls keep their queue alive; the thread ends after the last reference.
/// One queue for each process is enough on few cores: more cost more for each call.
@safe
public final class CompletionQueue: @unchecked Sendable {
  /// The queue of this process, for whoever has no reason to have one of its own.
  public static let shared = CompletionQueue()

  let raw: OpaquePointer
  let watches = OperationWatches()

  /// Makes a queue and starts its thread.
  public init() {
    GRPCLibrary.initialize()
    unsafe raw = grpc_completion_queue_create_for_next(nil)
    let poller = unsafe Poller(queue: raw, watches: watches)
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

  deinit {
    // Nothing is outstanding, since that would hold a reference. The poller sees it and ends.
    unsafe grpc_completion_queue_shutdown(raw)
  }
}

/// The thread of one queue.
@safe
private final class Poller {
  private static let interval: Int64 = 250

  private let queue: OpaquePointer
  private let watches: OperationWatches

  init(queue: OpaquePointer, watches: OperationWatches) {
    unsafe self.queue = queue
    self.watches = watches
  }

  func run() {
    InlineExecutor.shared.withQueue { jobs in
      var nextScan: UInt64 = 0
      while true {
        let limit = gpr_time_add(
          gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(Self.interval, GPR_TIMESPAN))
        let event = unsafe grpc_completion_queue_next(queue, limit, nil)
        if unsafe event.type == GRPC_QUEUE_SHUTDOWN { break }
        if unsafe event.type == GRPC_OP_COMPLETE, let tag = unsafe event.tag {
          unsafe CompletionTag.take(tag, event.success != 0)
          jobs.drain()
        }
        let now = MonotonicTime.nanoseconds
        if now >= nextScan {
          watches.cancelExpired(now: now)
          nextScan = now + UInt64(Self.interval) * 1_000_000
        }
      }
    }
    unsafe grpc_completion_queue_destroy(queue)
  }
}
