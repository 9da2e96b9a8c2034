import Base
import Synchronization

/// The one budget for the memory of transfers, handed out as buffers of one size class each.
///
/// A task that asks for more than is free waits in line; buffers come back by `release`. Freed
/// buffers are kept for reuse up to the budget and dropped by `trim`.
public final class BufferPool: Sendable {
  private struct Waiter {
    let id: UInt64
    let count: Int
    let continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var used = 0
    var cached = 0
    /// How many have had to wait so far.
    var waits: UInt64 = 0
    /// How many buffers have come back so far.
    var returns: UInt64 = 0
    var waiters: [Waiter] = []
    /// Asked for and not in line yet; true once cancelled meanwhile.
    var arriving: [UInt64: Bool] = [:]
    var free: [Int: [AlignedBuffer]] = [:]
  }

  /// Bytes that all outstanding buffers together may have.
  public let limit: Int
  /// Bytes that freed buffers kept for reuse may have.
  public let cacheLimit: Int
  private let state = Mutex(State())

  /// Makes a pool that lends at most `limit` bytes and keeps at most `cacheLimit` for reuse.
  public init(limit: Int, cacheLimit: Int) {
    self.limit = limit
    self.cacheLimit = min(limit, cacheLimit)
  }

  /// Bytes lent now.
  public var used: Int { state.withLock { $0.used } }

  /// Bytes of freed buffers that are kept for reuse now.
  public var kept: Int { state.withLock { $0.cached } }

  /// Tasks that wait for the budget now.
  public var waiting: Int { state.withLock { $0.waiters.count } }

  /// How often a task has had to wait for the budget since the pool was made.
  public var waits: Int { state.withLock { Int(clamping: $0.waits) } }

  /// How often a buffer has come back since the pool was made.
  public var returns: Int { state.withLock { Int(clamping: $0.returns) } }

  /// A buffer of at least `count` bytes; waits until the budget allows it, first come first
  /// served. Throws `CancellationError` when the task is cancelled while it waits.
  ///
  /// `whenInLine` is called when it has to wait, once `waiting` counts it. Precondition: `count` is
  /// at most `limit`.
  public func acquire(
    _ count: Int, whenInLine: @Sendable () -> Void = {}
  ) async throws -> AlignedBuffer {
    let size = Self.sizeClass(count)
    precondition(size <= limit, "a single buffer larger than the budget")
    if !reserveNow(size) { try await wait(for: size, whenInLine) }
    return takeCached(size) ?? AlignedBuffer(count: size)
  }

  /// A buffer of at least `count` bytes when the budget has it at once and nobody waits.
  ///
  /// `keeping` bytes of the budget are left for others.
  public func tryAcquire(_ count: Int, keeping: Int = 0) -> AlignedBuffer? {
    let size = Self.sizeClass(count)
    guard reserveNow(size, keeping: keeping) else { return nil }
    return takeCached(size) ?? AlignedBuffer(count: size)
  }

  /// Gives a buffer back. The caller must not touch it any more.
  public func release(_ buffer: AlignedBuffer) {
    let woken = state.withLock { state -> [Waiter] in
      state.used -= buffer.count
      state.returns += 1
      if state.cached + buffer.count <= cacheLimit {
        state.cached += buffer.count
        state.free[buffer.count, default: []].append(buffer)
      }
      return Self.admit(&state, limit: limit)
    }
    for waiter in woken { waiter.continuation.resume() }
  }

  /// Frees the buffers kept for reuse.
  public func trim() {
    state.withLock { state in
      state.free = [:]
      state.cached = 0
    }
  }

  /// The size that is lent for `count` bytes: few distinct ones, so that freed buffers fit again,
  /// and at most a quarter larger than asked for (but for the smallest).
  static func sizeClass(_ count: Int) -> Int {
    let least = max(count, AlignedBuffer.alignment)
    let power = 1 << (Int.bitWidth - 1 - least.leadingZeroBitCount)
    let step = max(power / 4, AlignedBuffer.alignment)
    return ByteCount.roundUp(least, to: step)
  }

  private func reserveNow(_ size: Int, keeping: Int = 0) -> Bool {
    state.withLock { state in
      guard state.waiters.isEmpty, state.used + size + keeping <= limit else { return false }
      state.used += size
      return true
    }
  }

  private func takeCached(_ size: Int) -> AlignedBuffer? {
    state.withLock { state in
      guard let buffer = state.free[size]?.popLast() else { return nil }
      state.cached -= size
      return buffer
    }
  }

  private func wait(for size: Int, _ whenInLine: () -> Void) async throws {
    let id = state.withLock { state in
      state.waits += 1
      state.arriving[state.waits] = false
      return state.waits
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        enqueue(Waiter(id: id, count: size, continuation: continuation))
        whenInLine()
      }
    } onCancel: {
      cancel(id)
    }
  }

  private func enqueue(_ waiter: Waiter) {
    let (woken, isCancelled) = state.withLock { state -> ([Waiter], Bool) in
      if state.arriving.removeValue(forKey: waiter.id) == true { return ([], true) }
      state.waiters.append(waiter)
      return (Self.admit(&state, limit: limit), false)
    }
    if isCancelled { waiter.continuation.resume(throwing: CancellationError()) }
    for admitted in woken { admitted.continuation.resume() }
  }

  private func cancel(_ id: UInt64) {
    let (removed, woken) = state.withLock { state -> (Waiter?, [Waiter]) in
      if state.arriving[id] != nil { state.arriving[id] = true }
      // One that is neither arriving nor in line was admitted: it has its buffer.
      guard let index = state.waiters.firstIndex(where: { $0.id == id }) else { return (nil, []) }
      let waiter = state.waiters.remove(at: index)
      return (waiter, Self.admit(&state, limit: limit))
    }
    removed?.continuation.resume(throwing: CancellationError())
    for waiter in woken { waiter.continuation.resume() }
  }

  /// Takes from the front of the line whoever fits now; the front is never overtaken.
  private static func admit(_ state: inout State, limit: Int) -> [Waiter] {
    var admitted: [Waiter] = []
    while let first = state.waiters.first, state.used + first.count <= limit {
      state.used += first.count
      admitted.append(state.waiters.removeFirst())
    }
    return admitted
  }
}
