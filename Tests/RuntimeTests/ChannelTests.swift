import Runtime
import Testing

@Suite("Channels between two tasks")
struct ChannelTests {
  struct Broken: Error {}

  @Test("elements arrive in order, however long the channel is", arguments: [1, 2, 7])
  func order(capacity: Int) async throws {
    let channel = BoundedChannel<Int>(capacity: capacity)
    async let received: [Int] = {
      var all: [Int] = []
      while let next = try await channel.next() { all.append(next) }
      return all
    }()
    for number in 0..<1000 { try await channel.send(number) }
    channel.finish()
    #expect(try await received == Array(0..<1000))
  }

  @Test("a sender's failure reaches the receiver behind what was sent")
  func failure() async throws {
    let channel = BoundedChannel<Int>(capacity: 4)
    try await channel.send(1)
    channel.finish(throwing: Broken())
    #expect(try await channel.next() == 1)
    await #expect(throws: Broken.self) { try await channel.next() }
  }

  @Test("a receiver that closes wakes the sender and gets what was left")
  func close() async throws {
    let channel = BoundedChannel<Int>(capacity: 1)
    try await channel.send(1)
    let sender = Task { try await channel.send(2) }
    #expect(channel.close() == [1])
    await #expect(throws: CancellationError.self) { try await sender.value }
  }

  @Test("why a receiver closes reaches a sender that waits and one that comes later")
  func refusal() async throws {
    let channel = BoundedChannel<Int>(capacity: 1)
    try await channel.send(1)
    let sender = Task { try await channel.send(2) }
    #expect(channel.close(throwing: Broken()) == [1])
    #expect(channel.close().isEmpty)
    await #expect(throws: Broken.self) { try await sender.value }
    await #expect(throws: Broken.self) { try await channel.send(3) }
  }

  @Test("cancelling a task that waits ends its waiting")
  func cancellation() async {
    let channel = BoundedChannel<Int>(capacity: 1)
    let receiver = Task { try await channel.next() }
    receiver.cancel()
    await #expect(throws: CancellationError.self) { try await receiver.value }
  }

  @Test("a pool runs what it is given on its own threads and returns results and errors")
  func pool() async throws {
    let pool = ThreadPool(name: "test", threadCount: 2)
    #expect(await pool.run { 42 } == 42)
    await #expect(throws: Broken.self) {
      try await pool.run { () throws(Broken) in throw Broken() }
    }
    let sum = await withTaskGroup(of: Int.self) { group in
      for number in 0..<5000 { group.addTask { await pool.run { number } } }
      return await group.reduce(0, +)
    }
    #expect(sum == 5000 * 4999 / 2)
  }
}
