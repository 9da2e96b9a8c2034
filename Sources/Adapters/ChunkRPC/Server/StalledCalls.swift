internal import Base
internal import GRPC
internal import Runtime
internal import Synchronization

/// What reads that stand still hold of the budget, so that those who wait can have it: a slow peer
/// slows only itself. Writes hold a buffer only while a message of theirs is worked on.
///
/// A read whose client does not take what was sent is ended: its memory is the library's until
/// then.
final class StalledCalls: Sendable {
  /// How a read was ended.
  private static let status = RPCStatus(
    .resourceExhausted, "the stream stood still while others waited for memory")
  /// The time between two looks while somebody waits.
  private static let interval = Duration.milliseconds(100)

  private struct Sending {
    weak var call: ServerCall?
    var since: UInt64
  }

  private struct State {
    var nextID: UInt64 = 0
    var sending: [UInt64: Sending] = [:]
    /// Whether somebody has waited since the last look.
    var isWanted = false
    var watcher: CheckedContinuation<Void, Never>?
  }

  private let stalledRead: UInt64
  private let state = Mutex(State())

  init(_ settings: ChunkRPCServer.Settings) {
    stalledRead = Self.nanoseconds(settings.stalledRead)
  }

  private static func nanoseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let whole = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    return whole.overflow
      ? .max : whole.partialValue &+ UInt64(clamping: attoseconds / 1_000_000_000)
  }

  /// A buffer of at least `count` bytes; waits until the pool has one, if need be until those who
  /// stand still have given one back.
  func buffer(_ count: Int, from pool: BufferPool) async throws -> PooledBuffer {
    // Told of only once it is in line: else who looks may look too early, and never again.
    let memory = try await pool.acquire(count) { [self] in
      let watcher = state.withLock { state in
        state.isWanted = true
        return state.watcher.take()
      }
      watcher?.resume()
    }
    return PooledBuffer(memory, of: pool)
  }

  /// A buffer that goes out with a message of `call`: it owns the message's bytes.
  func sending(_ buffer: PooledBuffer, by call: ServerCall) -> SentBuffer {
    let id = state.withLock { state in
      state.nextID &+= 1
      state.sending[state.nextID] = Sending(call: call, since: MonotonicTime.nanoseconds)
      return state.nextID
    }
    return SentBuffer(buffer, id, self)
  }

  fileprivate func sent(_ id: UInt64) {
    state.withLock { _ = $0.sending.removeValue(forKey: id) }
  }

  /// Looks after those who wait for buffers of `reads`, until the task is cancelled.
  func run(_ reads: BufferPool) async {
    while !Task.isCancelled {
      await someoneWaits()
      repeat {
        try? await Task.sleep(for: Self.interval)
        endReads(for: reads)
      } while !Task.isCancelled && reads.waiting > 0
    }
  }

  private func someoneWaits() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isDue = state.withLock { state in
          if state.isWanted || Task.isCancelled {
            state.isWanted = false
            return true
          }
          state.watcher = continuation
          return false
        }
        if isDue { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.watcher.take() }?.resume()
    }
  }

  /// Ends as many reads that stand still as there are calls that wait, the longest first.
  private func endReads(for pool: BufferPool) {
    let wanted = pool.waiting
    guard wanted > 0 else { return }
    let now = MonotonicTime.nanoseconds
    let stalled = state.withLock { state in
      state.sending.filter { now - min($0.value.since, now) >= stalledRead }.values
        .sorted { $0.since < $1.since }.prefix(wanted).compactMap(\.call)
    }
    for call in stalled { call.cancel(Self.status) }
  }
}

/// A buffer whose bytes are on their way to a client; it goes back when the library needs them no
/// more.
final class SentBuffer: Sendable {
  private let buffer: PooledBuffer
  private let id: UInt64
  private let calls: StalledCalls

  fileprivate init(_ buffer: PooledBuffer, _ id: UInt64, _ calls: StalledCalls) {
    self.buffer = buffer
    self.id = id
    self.calls = calls
  }

  deinit { calls.sent(id) }
}
