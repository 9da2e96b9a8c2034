import Synchronization

/// Keeps a step of background work to its part of the time while it runs: it rests after each slice
/// of work, so that requests beside it are held up by no long stretch of it.
///
/// Used by the task of the step, one call at a time; times are those of the clock it was made with.
public final class DutyCycle: Sendable {
  /// That of the step which the current task does; nil for work that does not rest.
  @TaskLocal public static var current: DutyCycle?
  /// Work that is done without a rest.
  package static let slice: Duration = .milliseconds(5)

  private struct State {
    var rested = Duration.zero
    /// What had been worked when the last rest began.
    var workedBefore = Duration.zero
  }

  private let part: Double
  private let longestRest: Duration
  private let elapsed: @Sendable () -> Duration
  private let sleep: @Sendable (Duration) async throws -> Void
  private let state = Mutex(State())

  /// Begins work that takes `part` of the time, above 0 to 1, and rests no longer than `longestRest`
  /// at once.
  package init<C: Clock<Duration>>(_ part: Double, clock: C, longestRest: Duration) {
    self.part = min(max(part, 0.001), 1)
    self.longestRest = longestRest
    let begin = clock.now
    elapsed = { begin.duration(to: clock.now) }
    sleep = { try await clock.sleep(for: $0) }
  }

  /// The rest that is due for the work so far, at most `longestRest`.
  package var due: Duration {
    let rested = state.withLock { $0.rested }
    return max(.zero, min(longestRest, (elapsed() - rested) * (1 / part - 1) - rested))
  }

  /// Rests if a slice was worked since the last rest. To be called where nobody waits for what the
  /// step holds; throws `CancellationError`.
  public func rest() async throws {
    let worked = elapsed() - state.withLock { $0.rested }
    guard worked - state.withLock({ $0.workedBefore }) >= Self.slice else { return }
    state.withLock { $0.workedBefore = worked }
    let due = due
    guard due > .zero else { return }
    try await sleep(due)
    // A sleep may take longer than it was to.
    state.withLock { $0.rested = elapsed() - worked }
  }
}
