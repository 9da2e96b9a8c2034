public import Runtime
import Synchronization

/// Gives memory back to the system when no transfer has used any for a while.
public final class IdleTrimmer: BackgroundWorker {
  private struct State {
    var idleSince: Duration = .zero
    var isTrimmed = false
    /// What the buffers' count of returns was at the last look.
    var returns = 0
  }

  /// `idle-memory`.
  public let name = "idle-memory"
  private let buffers: BufferPool
  private let idle: Duration
  private let interval: Duration
  private let trimAllocator: @Sendable () -> Void
  private let state = Mutex(State())
  private let count = ProgressCell()

  /// Trims `buffers` once nothing was lent for `idle`, looking every `interval`; then calls
  /// `trimAllocator`.
  public init(
    buffers: BufferPool, idle: Duration = .seconds(10), interval: Duration = .seconds(2),
    trimAllocator: @escaping @Sendable () -> Void = ProcessEnvironment.trimAllocator
  ) {
    self.buffers = buffers
    self.idle = idle
    self.interval = interval
    self.trimAllocator = trimAllocator
  }

  /// Items are trims.
  public var progress: WorkerProgress { count.value }

  /// Looks once.
  public func step() async throws -> StepOutcome {
    let (isLent, returns) = (buffers.used > 0, buffers.returns)
    let isDue = state.withLock { state in
      // A transfer may have begun and ended between two looks.
      guard !isLent, state.returns == returns else {
        state = State(returns: returns)
        return false
      }
      state.idleSince += interval
      guard state.idleSince > idle, !state.isTrimmed else { return false }
      state.isTrimmed = true
      return true
    }
    if isDue {
      buffers.trim()
      trimAllocator()
      count.add(1)
    }
    return .idle(nextAfter: interval)
  }
}
