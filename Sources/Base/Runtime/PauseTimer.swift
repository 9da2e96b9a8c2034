import CPlatform
import Glibc
import Synchronization

/// Pauses that nearly always end early, such as limits of calls: one thread waits for the earliest
/// of them, and a pause that is cancelled costs no wake-up of any thread.
///
/// `Task.sleep` costs a timer of the kernel and a hop through the default pool each time.
@safe
public final class PauseTimer: @unchecked Sendable {
  /// The timer of the process.
  public static let shared = PauseTimer()

  private final class Pause: Sendable {
    enum State {
      case beginning
      case waiting(CheckedContinuation<Void, any Error>)
      case ended
      case cancelled
    }
    let deadline: UInt64
    let state = Mutex(State.beginning)

    init(deadline: UInt64) { self.deadline = deadline }

    var isOver: Bool {
      state.withLock { state in
        switch state {
        case .beginning, .waiting: false
        case .ended, .cancelled: true
        }
      }
    }

    /// Ends the pause, unless it has ended.
    func end(cancelled: Bool) {
      let continuation = state.withLock { state -> CheckedContinuation<Void, any Error>? in
        switch state {
        case .beginning:
          state = cancelled ? .cancelled : .ended
          return nil
        case .waiting(let continuation):
          state = .ended
          return continuation
        case .ended, .cancelled: return nil
        }
      }
      if cancelled {
        continuation?.resume(throwing: CancellationError())
      } else {
        continuation?.resume()
      }
    }

    /// Waits for the end, which may have come.
    func wait(_ continuation: CheckedContinuation<Void, any Error>) {
      let before = state.withLock { state -> State in
        defer { if case .beginning = state { state = .waiting(continuation) } }
        return state
      }
      switch before {
      case .beginning, .waiting: break
      case .ended: continuation.resume()
      case .cancelled: continuation.resume(throwing: CancellationError())
      }
    }
  }

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  // All are guarded by `mutex`.
  /// A heap: the earliest first. Those that are over stay until they come up or are swept.
  private var pauses: [Pause] = []
  private var sweepAt = 1024
  private var isRunning = false

  private init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_mutex_init(mutex, nil)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  /// Returns when `duration` has passed, at once when it is not positive. Throws
  /// `CancellationError` as soon as the task is cancelled.
  public func pause(_ duration: Duration) async throws {
    try Task.checkCancellation()
    guard duration > .zero else { return }
    let (seconds, attoseconds) = duration.components
    let (whole, isOver) = UInt64(clamping: seconds).multipliedReportingOverflow(
      by: 1_000_000_000)
    let length = isOver ? UInt64.max / 4 : whole &+ UInt64(attoseconds) / 1_000_000_000
    let pause = Pause(deadline: MonotonicTime.nanoseconds &+ min(length, UInt64.max / 4))
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        pause.wait(continuation)
        add(pause)
      }
    } onCancel: {
      pause.end(cancelled: true)
    }
  }

  private func add(_ pause: Pause) {
    unsafe pthread_mutex_lock(mutex)
    if pauses.count >= sweepAt {
      pauses = pauses.filter { !$0.isOver }.sorted { $0.deadline < $1.deadline }
      sweepAt = max(1024, 2 * pauses.count)
    }
    push(pause)
    let isEarliest = pauses[0] === pause
    let isFirst = !isRunning
    isRunning = true
    unsafe pthread_mutex_unlock(mutex)
    if isFirst { start() } else if isEarliest { unsafe pthread_cond_signal(condition) }
  }

  private func start() {
    var thread = pthread_t()
    let status = unsafe pthread_create(
      &thread, nil,
      { _ in
        CurrentThread.setName("pauses")
        PauseTimer.shared.run()
        return nil
      }, nil)
    precondition(status == 0, "no thread can be started")
    pthread_detach(thread)
  }

  private func run() {
    unsafe pthread_mutex_lock(mutex)
    while true {
      guard let first = pauses.first else {
        unsafe pthread_cond_wait(condition, mutex)
        continue
      }
      guard first.isOver || first.deadline <= MonotonicTime.nanoseconds else {
        var limit = timespec()
        limit.tv_sec = Int(first.deadline / 1_000_000_000)
        limit.tv_nsec = Int(first.deadline % 1_000_000_000)
        _ = unsafe pthread_cond_timedwait(condition, mutex, &limit)
        continue
      }
      pop()
      unsafe pthread_mutex_unlock(mutex)
      first.end(cancelled: false)
      unsafe pthread_mutex_lock(mutex)
    }
  }

  // MARK: The heap

  private func push(_ pause: Pause) {
    var index = pauses.count
    pauses.append(pause)
    while index > 0 {
      let parent = (index - 1) / 2
      guard pauses[index].deadline < pauses[parent].deadline else { return }
      pauses.swapAt(index, parent)
      index = parent
    }
  }

  private func pop() {
    pauses.swapAt(0, pauses.count - 1)
    pauses.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2]
      where child < pauses.count && pauses[child].deadline < pauses[least].deadline {
        least = child
      }
      guard least != index else { return }
      pauses.swapAt(index, least)
      index = least
    }
  }
}
