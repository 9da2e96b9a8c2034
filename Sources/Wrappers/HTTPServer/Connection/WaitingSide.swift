/// Why a wait ended.
enum Wake: Sendable {
  case ready
  case timedOut
  case cut
  case cancelled
  /// Another task waits for the same direction already.
  case occupied
}

/// At most one task that waits for one direction of a connection.
@safe
struct WaitingSide {
  /// When the wait ends by itself, on the loop's clock; far away when nobody waits.
  private(set) var deadline = Int64.max
  /// Counts the waits, so that a late cancellation cannot end the next one.
  private(set) var number: UInt64 = 0
  private var continuation: UnsafeContinuation<Wake, Never>?

  var isOccupied: Bool { unsafe continuation != nil }

  mutating func beginNumber() -> UInt64 {
    number &+= 1
    return number
  }

  mutating func park(_ continuation: UnsafeContinuation<Wake, Never>, until deadline: Int64) {
    unsafe self.continuation = unsafe continuation
    self.deadline = deadline
  }

  mutating func resume(_ wake: Wake) {
    guard let waiting = unsafe continuation else { return }
    unsafe continuation = nil
    deadline = .max
    unsafe waiting.resume(returning: wake)
  }
}
