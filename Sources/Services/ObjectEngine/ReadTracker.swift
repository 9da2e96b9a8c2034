public import Base
import Runtime
import Synchronization

/// Knows the oldest read that still runs: chunks deleted after it began are kept for it.
public final class ReadTracker: Sendable {
  private struct State {
    var next: UInt64 = 0
    var starts: [UInt64: Timestamp] = [:]
  }

  private let state = Mutex(State())

  /// Makes a tracker without reads.
  public init() {}

  /// When the oldest running read began; nil when none runs.
  public var oldest: Timestamp? {
    state.withLock { $0.starts.values.min() }
  }

  /// The number of the running read that began first; nil when none runs.
  public var oldestNumber: UInt64? {
    state.withLock { $0.starts.keys.min() }
  }

  /// The number of the read that began last; 0 before the first.
  public var newest: UInt64 { state.withLock { $0.next } }

  /// Whether no read of that number or of one below it runs any more.
  public func haveEnded(through number: UInt64) -> Bool {
    state.withLock { !$0.starts.keys.contains { $0 <= number } }
  }

  /// Counts a read that began at `now` until `end` gets the number that this returns.
  public func begin(at now: Timestamp) -> UInt64 {
    state.withLock { state in
      state.next += 1
      state.starts[state.next] = now
      return state.next
    }
  }

  /// Ends the read of that number.
  public func end(_ number: UInt64) {
    _ = state.withLock { $0.starts.removeValue(forKey: number) }
  }
}
