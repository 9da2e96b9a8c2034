import Base
import Runtime
import Synchronization

/// Time that tests move: the time of day, and what only goes forward.
final class TestTime: Sendable {
  private let milliseconds = Mutex<Int64>(0)

  struct Wall: WallClock {
    let time: TestTime
    var now: Timestamp {
      Timestamp(milliseconds: 1_700_000_000_000 + time.milliseconds.withLock { $0 })
    }
  }

  struct Monotonic: MonotonicClock {
    let time: TestTime
    var now: Duration { .milliseconds(3_600_000 + time.milliseconds.withLock { $0 }) }
  }

  var wall: Wall { Wall(time: self) }
  var monotonic: Monotonic { Monotonic(time: self) }

  func advance(_ seconds: Int64) { milliseconds.withLock { $0 += seconds * 1000 } }
}
