import Synchronization

/// Numbers of a process's transactions, which rows of `transaction_outcomes` carry.
///
/// A transaction inserts its number right before its commit. One whose commit got no answer is
/// resolved by inserting the same number again (`PostgresDriver.resolve`). A row is of no use once
/// the answer is known; rows are deleted many at a time.
final class TransactionNumbers: Sendable {
  private struct State {
    var next: Int64 = 1
    /// Begun, and the answer is not known.
    var unanswered: Set<Int64> = []
    /// All below it are deleted.
    var swept: Int64 = 1
  }

  /// Rows that are deleted at a time.
  static let sweepLength: Int64 = 4096

  /// Drawn at random for each process.
  let process: Int64
  private let state = Mutex(State())

  init(process: Int64) { self.process = process }

  func begin() -> Int64 {
    state.withLock { state in
      defer { state.next += 1 }
      state.unanswered.insert(state.next)
      return state.next
    }
  }

  /// Records that the outcome is known.
  func end(_ number: Int64) {
    _ = state.withLock { $0.unanswered.remove(number) }
  }

  /// Numbers whose rows are to be deleted now, by whoever gets them; nil while they are few.
  func takeSweep() -> Range<Int64>? {
    state.withLock { state in
      guard state.next - state.swept >= 2 * Self.sweepLength else { return nil }
      let end = min(state.unanswered.min() ?? state.next, state.next)
      guard end - state.swept >= Self.sweepLength else { return nil }
      defer { state.swept = end }
      return state.swept..<end
    }
  }
}
