import Base
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("The budget of buffers")
struct BufferPoolTests {
  @Test("a task that finds the budget spent gets its buffer when one comes back")
  func waits() async throws {
    let pool = BufferPool(limit: 8192, cacheLimit: 8192)
    let first = try await pool.acquire(8192)
    #expect(pool.tryAcquire(1) == nil)
    try await withThrowingTaskGroup(of: Int.self) { group in
      group.addTask { try await pool.acquire(4096).count }
      group.addTask { try await pool.acquire(4096).count }
      while pool.waiting < 2 { await Task.yield() }
      pool.release(first)
      for try await count in group { #expect(count == 4096) }
    }
    #expect(pool.used == 8192)
    #expect(pool.waiting == 0)
    #expect(pool.waits == 2)
  }

  @Test("who is told that a task waits finds it in line; a task that need not wait tells nobody")
  func tellsInLine() async throws {
    let pool = BufferPool(limit: 4096, cacheLimit: 0)
    let found = Mutex<[Int]>([])
    let first = try await pool.acquire(4096) { found.withLock { $0.append(-1) } }
    let second = Task {
      try await pool.acquire(4096) { found.withLock { $0.append(pool.waiting) } }
    }
    try await eventually { found.withLock { !$0.isEmpty } }
    pool.release(first)
    pool.release(try await second.value)
    #expect(found.withLock { $0 } == [1])
  }

  @Test("a cancelled waiter leaves the line and the one behind it moves up")
  func cancellation() async throws {
    let pool = BufferPool(limit: 8192, cacheLimit: 0)
    let held = try await pool.acquire(4096)
    let large = Task { try await pool.acquire(8192) }
    while pool.waiting < 1 { await Task.yield() }
    let small = Task { try await pool.acquire(4096) }
    while pool.waiting < 2 { await Task.yield() }
    large.cancel()
    await #expect(throws: CancellationError.self) { try await large.value }
    let buffer = try await small.value
    #expect(pool.used == 8192)
    pool.release(buffer)
    pool.release(held)
    #expect(pool.used == 0)
  }

  @Test("a task that is cancelled before it waits gets nothing and takes nothing")
  func cancelledBefore() async throws {
    let pool = BufferPool(limit: 4096, cacheLimit: 0)
    let held = try await pool.acquire(4096)
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return try await pool.acquire(4096)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    pool.release(held)
    #expect(pool.used == 0 && pool.waiting == 0)
  }

  @Test("sizes are rounded up by a quarter at most", arguments: [1, 4097, 70_000, 1_100_000])
  func sizes(count: Int) async throws {
    let pool = BufferPool(limit: 4 << 20, cacheLimit: 4 << 20)
    let buffer = try await pool.acquire(count)
    #expect(buffer.count >= count && buffer.count <= max(4096 * 2, count + count / 4 + 4096))
    pool.release(buffer)
    pool.trim()
    #expect(pool.used == 0)
  }

  @Test("bytes move within and between buffers")
  func bytes() {
    let one = AlignedBuffer(count: 100)
    let other = AlignedBuffer(count: 100)
    one.copy(Array(0..<50))
    other.copy(from: one, 10..<20, at: 5)
    #expect(other.bytes(5..<15) == Array(10..<20))
    one.move(0..<40, to: 10)
    #expect(one.bytes(10..<50) == Array(0..<40))
    one.zero(10..<12)
    #expect(one.bytes(10..<13) == [0, 0, 2])
  }
}
