public import Runtime
import Synchronization

/// Gives memory back to the system when no transfer has used any for a while.
public final class IdleTrimmer: BackgroundWorker {
  private struct State {
    var idleSince: Duration = .zero
    var isTrimmed = false
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
    let isLent = buffers.used > 0
    let isDue = state.withLock { state in
      guard !isLent else {
        state = State()
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
