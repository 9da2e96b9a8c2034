import Glibc

/// A clock that only goes forward, and goes on while the machine sleeps: what leases and timeouts
/// of this process are measured by.
public protocol MonotonicClock: Sendable {
  /// The time since some moment that stays the same while the process lives.
  var now: Duration { get }
}

/// The operating system's clock of that kind.
public struct SystemMonotonicClock: MonotonicClock {
  /// Makes a clock.
  public init() {}

  /// The time since the machine was started.
  public var now: Duration {
    var time = timespec()
    unsafe clock_gettime(CLOCK_BOOTTIME, &time)
    return .seconds(Int64(time.tv_sec)) + .nanoseconds(Int64(time.tv_nsec))
  }
}
