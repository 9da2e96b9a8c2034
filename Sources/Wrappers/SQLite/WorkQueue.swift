import Glibc

/// A line of work for one thread that blocks while the line is empty.
///
/// Any thread may `add`; one thread takes.
@safe
public final class WorkQueue<Element: Sendable>: @unchecked Sendable {
  /// What `take` got.
  public enum Taken {
    /// Work, in the order it was added; not empty.
    case work([Element])
    /// Nothing came in the time given.
    case nothing
    /// Nothing is left and nothing will come.
    case closed
  }

  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  // All are guarded by `mutex`.
  private var items: [(element: Element, weight: Int)] = []
  private var head = 0
  private var isWaiting = false
  private var isClosed = false

  /// Makes an empty line.
  public init() {
    unsafe mutex = .allocate(capacity: 1)
    unsafe condition = .allocate(capacity: 1)
    unsafe pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    unsafe pthread_condattr_init(&attributes)
    unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    unsafe pthread_cond_init(condition, &attributes)
    unsafe pthread_condattr_destroy(&attributes)
  }

  deinit {
    unsafe pthread_cond_destroy(condition)
    unsafe pthread_mutex_destroy(mutex)
    unsafe condition.deallocate()
    unsafe mutex.deallocate()
  }

  /// Adds work at the end; false, and nothing is added, once the line is closed.
  public func add(_ element: Element, weight: Int) -> Bool {
    unsafe pthread_mutex_lock(mutex)
    let accepted = !isClosed
    if accepted { items.append((element, weight)) }
    let wake = accepted && isWaiting
    unsafe pthread_mutex_unlock(mutex)
    if wake { unsafe pthread_cond_signal(condition) }
    return accepted
  }

  /// Accepts nothing more; what is in line is still taken.
  public func close() {
    unsafe pthread_mutex_lock(mutex)
    isClosed = true
    unsafe pthread_mutex_unlock(mutex)
    unsafe pthread_cond_signal(condition)
  }

  /// How many wait.
  public var count: Int {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    return items.count - head
  }

  /// Takes from the front at most `limit` elements of together at most `weightLimit`, but at least
  /// one; waits for the first, at most `milliseconds` when that is given.
  public func take(limit: Int, weightLimit: Int, milliseconds: Int?) -> Taken {
    unsafe pthread_mutex_lock(mutex)
    defer { unsafe pthread_mutex_unlock(mutex) }
    var deadline = Self.deadline(in: milliseconds ?? 0)
    while head == items.count {
      if isClosed { return .closed }
      isWaiting = true
      let status =
        if milliseconds != nil {
          unsafe pthread_cond_timedwait(condition, mutex, &deadline)
        } else {
          unsafe pthread_cond_wait(condition, mutex)
        }
      isWaiting = false
      if status == ETIMEDOUT && head == items.count && !isClosed { return .nothing }
    }
    var taken: [Element] = []
    var weight = 0
    while head < items.count, taken.count < max(limit, 1) {
      let next = items[head]
      guard taken.isEmpty || weight + next.weight <= weightLimit else { break }
      weight += next.weight
      taken.append(next.element)
      head += 1
    }
    compact()
    return .work(taken)
  }

  private func compact() {
    if head == items.count {
      items.removeAll(keepingCapacity: items.capacity <= 4096)
      head = 0
    } else if head >= 1024 {
      items.removeFirst(head)
      head = 0
    }
  }

  private static func deadline(in milliseconds: Int) -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    let nanoseconds = Int(time.tv_nsec) + milliseconds % 1000 * 1_000_000
    time.tv_sec += milliseconds / 1000 + nanoseconds / 1_000_000_000
    time.tv_nsec = nanoseconds % 1_000_000_000
    return time
  }
}
