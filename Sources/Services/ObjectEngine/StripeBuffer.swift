import Runtime

/// A buffer of the transfer budget that goes back when its last holder drops it.
///
/// It is written by one holder at a time; what one wrote, others may read once it was passed on.
final class StripeBuffer: Sendable {
  let memory: AlignedBuffer
  private let pool: BufferPool

  init(_ memory: AlignedBuffer, pool: BufferPool) {
    self.memory = memory
    self.pool = pool
  }

  deinit {
    pool.release(memory)
  }
}

extension BufferPool {
  /// A buffer that releases itself; waits for the budget.
  func stripe(_ count: Int) async throws -> StripeBuffer {
    StripeBuffer(try await acquire(count), pool: self)
  }

  /// A buffer that releases itself, when less than half of the budget is in use.
  func extraStripe(_ count: Int) -> StripeBuffer? {
    tryAcquire(count, keeping: limit / 2).map { StripeBuffer($0, pool: self) }
  }
}
