import Synchronization

/// Counts of one driver, readable at any time.
public final class PostgresMetrics: Sendable {
  /// Durations of round trips, as a histogram.
  public struct Durations: Hashable, Sendable {
    /// Upper bounds in seconds, ascending.
    public static let bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10]
    /// How many fell at or below each bound and above the one before; the last counts the rest.
    public var counts = [UInt64](repeating: 0, count: Durations.bounds.count + 1)
    /// All durations together, in seconds.
    public var sum = 0.0
  }

  /// What transactions came to.
  public struct Transactions: Hashable, Sendable {
    /// Committed.
    public var committed: UInt64 = 0
    /// Rolled back: refused by a condition, failed, or run again.
    public var rolledBack: UInt64 = 0
    /// Run again after a collision or a lost connection.
    public var retried: UInt64 = 0
    /// Whose commit got no answer, whatever was found out later.
    public var unanswered: UInt64 = 0
  }

  private let state = Mutex((durations: Durations(), transactions: Transactions()))

  init() {}

  /// Round trips so far: `db_query_duration_seconds`.
  public var durations: Durations { state.withLock { $0.durations } }

  /// Transactions so far: `db_transaction_total`.
  public var transactions: Transactions { state.withLock { $0.transactions } }

  func addQuery(nanoseconds: UInt64) {
    let seconds = Double(nanoseconds) / 1e9
    let index = Durations.bounds.firstIndex { seconds <= $0 } ?? Durations.bounds.count
    state.withLock { state in
      state.durations.counts[index] &+= 1
      state.durations.sum += seconds
    }
  }

  func count(_ path: WritableKeyPath<Transactions, UInt64>) {
    state.withLock { $0.transactions[keyPath: path] &+= 1 }
  }
}
