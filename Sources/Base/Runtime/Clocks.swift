public import Base
import Glibc

/// Where the time of day comes from.
public protocol WallClock: Sendable {
  /// The time now; it may jump.
  var now: Timestamp { get }
}

/// The time of day of the operating system.
public struct SystemWallClock: WallClock {
  /// Makes a clock.
  public init() {}

  /// The system's time.
  public var now: Timestamp {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }
}

/// Nanoseconds of a clock that never jumps and has no fixed origin.
public enum MonotonicTime {
  /// The time now.
  public static var nanoseconds: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Waits that keep their thread, for threads that may block: a timer of the tasks costs a thread of
/// another pool for each.
public enum BlockingPause {
  /// Blocks the calling thread for about so many microseconds, below a second.
  public static func wait(microseconds: Int) {
    var time = timespec(tv_sec: 0, tv_nsec: min(max(microseconds, 0), 999_999) * 1000)
    // An interrupted pause is a shorter one.
    unsafe nanosleep(&time, nil)
  }
}
