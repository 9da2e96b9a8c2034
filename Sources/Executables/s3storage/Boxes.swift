import Synchronization

/// A position that moves forward.
final class PositionBox: Sendable {
  private let state = Atomic<Int>(0)

  var value: Int { state.load(ordering: .relaxed) }

  func advance(_ count: Int) {
    state.wrappingAdd(count, ordering: .relaxed)
  }
}

/// Lets one through at a time and turns others away.
final class Turn: Sendable {
  private let isTaken = Atomic<Bool>(false)

  /// Whether the caller got the turn; it calls `end` then.
  func begin() -> Bool {
    !isTaken.exchange(true, ordering: .acquiring)
  }

  func end() {
    isTaken.store(false, ordering: .releasing)
  }
}
