public import Runtime
import Synchronization

/// Gives memory back to the system when no transfer has used any for a while.
public final class IdleTrimmer: BackgroundWorker {
  /// What the process and its allocator are asked for.
  public struct Memory: Sendable {
    /// Gives the allocator's free memory back.
    public var trim: @Sendable () -> Void
    /// Bytes of memory that the process has.
    public var resident: @Sendable () -> Int

    /// Makes it of two functions, by default those of this process.
    public init(
      trim: @escaping @Sendable () -> Void = ProcessEnvironment.trimAllocator,
      resident: @escaping @Sendable () -> Int = { ProcessEnvironment.residentBytes }
    ) {
      self.trim = trim
      self.resident = resident
    }
  }

  private struct State {
    var idleSince: Duration = .zero
    var isTrimmed = false
    /// What the buffers' counts of returns were at the last look.
    var returns: [Int] = []
    /// What was left when memory was given back last, in bytes.
    var residentAfter = 0
  }

  /// Growth that is worth another trim though nothing was transferred, in bytes: requests that are
  /// refused and connections that say nothing take memory, too.
  public static let growth = 16 << 20

  /// `idle-memory`.
  public let name = "idle-memory"
  private let buffers: [BufferPool]
  private let idle: Duration
  private let interval: Duration
  private let memory: Memory
  private let state = Mutex(State())
  private let count = ProgressCell()

  /// Trims `buffers` and `memory` once nothing was lent for `idle`, looking every `interval`.
  public init(
    buffers: [BufferPool], idle: Duration = .seconds(10), interval: Duration = .seconds(2),
    memory: Memory = Memory()
  ) {
    self.buffers = buffers
    self.idle = idle
    self.interval = interval
    self.memory = memory
  }

  /// Items are trims.
  public var progress: WorkerProgress { count.value }

  /// Looks once.
  public func step() async throws -> StepOutcome {
    let isLent = buffers.contains { $0.used > 0 }
    let returns = buffers.map(\.returns)
    let isDue = state.withLock { state in
      // A transfer may have begun and ended between two looks.
      guard !isLent, state.returns == returns else {
        state = State(returns: returns)
        return false
      }
      if state.isTrimmed {
        guard memory.resident() > state.residentAfter + Self.growth else { return false }
        state = State(returns: returns)
      }
      state.idleSince += interval
      return state.idleSince > idle
    }
    if isDue {
      for pool in buffers { pool.trim() }
      memory.trim()
      let resident = memory.resident()
      state.withLock { state in
        state.isTrimmed = true
        state.residentAfter = resident
      }
      count.add(1)
    }
    return .idle(nextAfter: interval)
  }
}
