internal import Runtime

/// Time as waits and time-outs see it; a test moves its own.
public protocol PauseClock: Sendable {
  /// Time since some fixed moment; it never jumps.
  var now: Duration { get }

  /// Returns when `duration` has passed; at once when it is not positive. Throws
  /// `CancellationError` as soon as the task is cancelled.
  func pause(_ duration: Duration) async throws
}

/// The clock of the machine.
public struct SystemPauseClock: PauseClock {
  /// Makes a clock.
  public init() {}

  /// Time since the machine started.
  public var now: Duration { .nanoseconds(Int64(clamping: MonotonicTime.nanoseconds)) }

  /// Waits for the timer of the process.
  public func pause(_ duration: Duration) async throws {
    try await PauseTimer.shared.pause(duration)
  }
}
