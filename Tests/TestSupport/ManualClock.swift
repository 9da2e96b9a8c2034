public import Base
public import Runtime
import Synchronization

/// A time of day that stands until a test moves it.
public final class ManualClock: WallClock {
  private let time: Mutex<Timestamp>

  /// A clock that shows so many seconds since 1970; without them, a time in the past.
  public init(seconds: Int64 = 1_700_000_000) { time = Mutex(Timestamp(seconds: seconds)) }

  /// The time that it shows.
  public var now: Timestamp { time.withLock { $0 } }

  /// Moves it on.
  public func advance(days: Int64 = 0, seconds: Int64 = 0, milliseconds: Int64 = 0) {
    let step = days * 86_400_000 + seconds * 1000 + milliseconds
    time.withLock { $0 = $0.advanced(byMilliseconds: step) }
  }
}
