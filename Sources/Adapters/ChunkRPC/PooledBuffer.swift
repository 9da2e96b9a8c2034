internal import Runtime
internal import Synchronization

/// A buffer that goes back to its pool with the last reference, or before.
final class PooledBuffer: Sendable {
  let memory: AlignedBuffer
  private let pool: BufferPool
  private let isLent = Atomic(true)

  /// Takes over a buffer that `pool` has lent.
  init(_ memory: AlignedBuffer, of pool: BufferPool) {
    self.memory = memory
    self.pool = pool
  }

  /// Waits until the pool has a buffer of at least `count` bytes, which is at most its limit.
  convenience init(_ count: Int, from pool: BufferPool) async throws {
    self.init(try await pool.acquire(count), of: pool)
  }

  /// Gives the memory back, which nobody may touch any more.
  func giveBack() {
    if isLent.exchange(false, ordering: .acquiringAndReleasing) { pool.release(memory) }
  }

  deinit { giveBack() }
}
