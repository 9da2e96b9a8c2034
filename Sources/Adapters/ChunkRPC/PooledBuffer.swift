internal import Runtime

/// A buffer that goes back to its pool with the last reference.
final class PooledBuffer: Sendable {
  let memory: AlignedBuffer
  private let pool: BufferPool

  /// Waits until the pool has a buffer of at least `count` bytes, which is at most its limit.
  init(_ count: Int, from pool: BufferPool) async throws {
    self.pool = pool
    memory = try await pool.acquire(count)
  }

  /// Takes over a buffer that `pool` has lent.
  init(_ memory: AlignedBuffer, of pool: BufferPool) {
    self.memory = memory
    self.pool = pool
  }

  /// A buffer of at least `count` bytes when the pool has it at once and keeps `others` bytes.
  init?(_ count: Int, from pool: BufferPool, keeping others: Int) {
    guard let memory = pool.tryAcquire(count, keeping: others) else { return nil }
    self.pool = pool
    self.memory = memory
  }

  deinit {
    pool.release(memory)
  }
}
