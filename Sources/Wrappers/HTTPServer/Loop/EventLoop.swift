import CPlatform
import Glibc
import Runtime
import Synchronization

/// One thread with one epoll set that is also the task executor of its connections.
///
/// A connection's task runs on this thread only, so its state needs no locks. What is marked
/// "loop thread" below must be used there and nowhere else; `execute` gets there from outside.
/// The thread ends after `stop`, when no connection is left.
@safe
final class EventLoop: TaskExecutor, @unchecked Sendable {
  /// What an event belongs to: a generation in the upper half, a position in the lower.
  enum Tag {
    static let wakeup: UInt64 = 0
    static let listenerGeneration: UInt32 = 1
    static let firstConnectionGeneration: UInt32 = 2

    static func make(_ generation: UInt32, _ position: Int) -> UInt64 {
      UInt64(generation) << 32 | UInt64(UInt32(truncatingIfNeeded: position))
    }
  }

  struct Remote {
    var jobs: [UnownedJob] = []
    var actions: [@Sendable () -> Void] = []
    var isSignalled = false
    var hasEnded = false
    var ended: CheckedContinuation<Void, Never>?
  }

  let limits: HTTPLimits
  let statistics: ServerStatistics
  /// Requests being answered on this loop, for choosing the loop of a new connection.
  let activeRequests = Atomic<Int>(0)
  /// Connections handed to this loop and not closed yet.
  let connectionCount = Atomic<Int>(0)

  let epoll: Descriptor
  let wakeup: Descriptor
  let threadIdentity = Atomic<UInt>(0)
  let remote = Mutex(Remote())

  // Loop thread, from here on.

  /// Milliseconds of a clock that never goes back, renewed once a turn.
  var now = platform_monotonic_milliseconds()
  /// The Date field line of this second.
  var dateLine: [UInt8] = []
  var dateSecond: Int64 = -1
  var nextTick: Int64 = 0
  /// No new connections; the ones at work end after their answer.
  var isDraining = false
  /// When what is still open is cut.
  var cutAt = Int64.max
  var pool: WindowPool
  var jobs: [UnownedJob] = []
  var running: [UnownedJob] = []
  var listeners: [ListeningSocket] = []
  var listenersArePaused = false
  var slots: [Connection?] = []
  var freeSlots: [Int] = []
  var nextGeneration = Tag.firstConnectionGeneration

  init(limits: HTTPLimits, statistics: ServerStatistics) throws(SystemFailure) {
    self.limits = limits
    self.statistics = statistics
    pool = WindowPool(headLimit: limits.headBytes)
    epoll = try Descriptor(checking: platform_epoll_create())
    wakeup = try Descriptor(checking: platform_wakeup_create())
    jobs.reserveCapacity(256)
    running.reserveCapacity(256)
    let status = platform_epoll_add_listener(epoll.number, wakeup.number, Tag.wakeup)
    guard status == 0 else { throw SystemFailure(code: -status) }
  }

  // MARK: Any thread

  /// Whether the caller runs on the loop's thread.
  var isCurrent: Bool { threadIdentity.load(ordering: .relaxed) == UInt(pthread_self()) }

  func enqueue(_ job: consuming ExecutorJob) {
    if isCurrent {
      jobs.append(UnownedJob(job))
      return
    }
    let unowned = UnownedJob(job)
    let (wakes, hasEnded) = remote.withLock { remote in
      if remote.hasEnded { return (false, true) }
      remote.jobs.append(unowned)
      defer { remote.isSignalled = true }
      return (!remote.isSignalled, false)
    }
    if wakes { platform_wakeup_signal(wakeup.number) }
    // Only a task that outlived its server gets here; it must still be able to end.
    if hasEnded { globalConcurrentExecutor.enqueue(unowned) }
  }

  /// Runs `action` on the loop's thread, later; false when the loop has ended, which drops it.
  @discardableResult
  func execute(_ action: @escaping @Sendable () -> Void) -> Bool {
    let (wakes, hasEnded) = remote.withLock { remote in
      if remote.hasEnded { return (false, true) }
      remote.actions.append(action)
      defer { remote.isSignalled = true }
      return (!remote.isSignalled, false)
    }
    if wakes { platform_wakeup_signal(wakeup.number) }
    return !hasEnded
  }

  /// Starts the thread. Precondition: not started before.
  func start(name: String) throws(SystemFailure) {
    let start = Start(loop: self, name: name)
    let argument = unsafe Unmanaged.passRetained(start)
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        CurrentThread.setName(start.name)
        platform_block_signals()
        start.loop.run()
        return nil
      }, argument.toOpaque())
    guard status == 0 else {
      unsafe argument.release()
      throw SystemFailure(code: status)
    }
    pthread_detach(thread)
  }

  private final class Start {
    let loop: EventLoop
    let name: String
    init(loop: EventLoop, name: String) {
      self.loop = loop
      self.name = name
    }
  }

  /// Returns when the thread has done its last work.
  func waitUntilEnded() async {
    await withCheckedContinuation { continuation in
      let hasEnded = remote.withLock { remote in
        if !remote.hasEnded { remote.ended = continuation }
        return remote.hasEnded
      }
      if hasEnded { continuation.resume() }
    }
  }
}
