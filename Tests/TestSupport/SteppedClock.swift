public import ChunkStore
import Synchronization

/// A clock that a test moves, or that jumps to the end of each pause by itself.
public final class SteppedClock: PauseClock {
  private struct State {
    var now = Duration.zero
    var pauses: [Duration] = []
    var sleepers: [Int: (until: Duration, wake: CheckedContinuation<Void, any Error>)] = [:]
    var next = 0
  }

  private let state = Mutex(State())
  private let jumps: Bool
  private let longestJump: Duration

  /// Pauses longer than `longestJump` are never jumped over.
  public init(jumps: Bool = false, upTo longestJump: Duration = .seconds(1 << 40)) {
    self.jumps = jumps
    self.longestJump = longestJump
  }

  /// The time that it shows.
  public var now: Duration { state.withLock { $0.now } }
  /// All pauses so far, in order.
  public var pauses: [Duration] { state.withLock { $0.pauses } }
  /// How many wait for it.
  public var sleeping: Int { state.withLock { $0.sleepers.count } }

  /// Moves it on; who waited for that wakes.
  public func advance(_ duration: Duration) {
    let woken = state.withLock { state in
      state.now += duration
      let due = state.sleepers.filter { $0.value.until <= state.now }
      for key in due.keys { state.sleepers[key] = nil }
      return due.values.map(\.wake)
    }
    for sleeper in woken { sleeper.resume() }
  }

  /// Waits until it has moved on by `duration`, or moves it on.
  public func pause(_ duration: Duration) async throws {
    try Task.checkCancellation()
    let jumps = jumps && duration <= longestJump
    let number = state.withLock { state in
      state.pauses.append(duration)
      if jumps { state.now += duration }
      state.next += 1
      return state.next
    }
    if jumps || duration <= .zero { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let isCancelled = state.withLock { state in
          if Task.isCancelled { return true }
          state.sleepers[number] = (state.now + duration, continuation)
          return false
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      state.withLock { $0.sleepers.removeValue(forKey: number) }?.wake.resume(
        throwing: CancellationError())
    }
  }
}
