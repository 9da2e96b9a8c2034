public import Base
public import Runtime
import Synchronization

/// The clock of a simulation: it stands still while there is work, and jumps when there is none.
public struct SimulatedClock: Clock {
  /// A moment since the simulation began.
  public struct Instant: InstantProtocol {
    /// Since the simulation began.
    public var offset: Duration

    /// The moment later by a duration.
    public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }

    /// From this moment to another.
    public func duration(to other: Instant) -> Duration { other.offset - offset }

    /// Which moment is earlier.
    public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  private let scheduler: SimulatedScheduler

  /// The clock that `scheduler` moves.
  public init(_ scheduler: SimulatedScheduler) {
    self.scheduler = scheduler
  }

  /// The present moment.
  public var now: Instant { Instant(offset: .nanoseconds(scheduler.nanoseconds)) }

  /// It knows no smaller step.
  public var minimumResolution: Duration { .nanoseconds(1) }

  /// Waits for a while, or less when the task is cancelled.
  public func rest(_ duration: Duration) async { try? await sleep(for: duration) }

  /// Waits for a while, whoever cancels the task.
  public func stay(_ duration: Duration) async {
    let parts = duration.components
    let nanoseconds = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
    await scheduler.stay(until: scheduler.nanoseconds + nanoseconds)
  }

  /// Waits for a moment. Throws `CancellationError`.
  public func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    let parts = deadline.offset.components
    try await scheduler.sleep(
      until: parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000)
  }
}

extension SimulatedScheduler {
  func stay(until deadline: Int64) async {
    // Nothing makes such a timer throw.
    try? await withCheckedThrowingContinuation { continuation in
      state.withLock { state in
        state.nextTimer += 1
        state.add(Timer(id: state.nextTimer, deadline: deadline, continuation: continuation))
      }
    }
  }

  func sleep(until deadline: Int64) async throws {
    let id = state.withLock { state in
      state.nextTimer += 1
      state.arriving[state.nextTimer] = false
      return state.nextTimer
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let timer = Timer(id: id, deadline: deadline, continuation: continuation)
        let isCancelled = state.withLock { state in
          if state.arriving.removeValue(forKey: id) == true { return true }
          state.add(timer)
          return false
        }
        if isCancelled { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      let timer = state.withLock { state -> Timer? in
        if state.arriving[id] != nil { state.arriving[id] = true }
        guard let index = state.timers.firstIndex(where: { $0.id == id }) else { return nil }
        return state.timers.remove(at: index)
      }
      timer?.continuation.resume(throwing: CancellationError())
    }
  }
}

/// The time of day as one machine of a simulation has it: it may be off, and jump.
public final class SimulatedWallClock: WallClock {
  private let scheduler: SimulatedScheduler
  private let offset = Mutex<Int64>(0)
  private static let start: Int64 = 1_750_000_000_000

  /// A clock that is right.
  public init(_ scheduler: SimulatedScheduler) {
    self.scheduler = scheduler
  }

  /// The time that it shows.
  public var now: Timestamp {
    let offset = offset.withLock { $0 }
    return Timestamp(milliseconds: Self.start + scheduler.nanoseconds / 1_000_000 + offset)
  }

  /// How far it is off, in milliseconds.
  public func setOffset(milliseconds: Int64) {
    offset.withLock { $0 = milliseconds }
  }
}
