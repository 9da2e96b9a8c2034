import Base
import GRPC
import Glibc
import Runtime
import Synchronization
import Testing

/// Starts servers at once, however busy the threads of the tests are.
private let pool = ThreadPool(name: "grpc-test", threadCount: 2)

@Suite struct EchoTests {
  /// Runs a server of `handler` while `body` runs.
  static func withServer(
    maximum: Int = 1 << 20, queue: CompletionQueue = .shared, _ handler: @escaping Server.Handler,
    _ body: (Channel, Server) async throws -> Void
  ) async throws {
    let server = try Server(
      on: "127.0.0.1:0", credentials: .insecure,
      arguments: .server(
        maximumMessageLength: maximum, streamsPerConnection: 1000, memoryQuota: 256 << 20),
      queue: queue)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: pool) {
        try await server.run(executor: { _ in InlineExecutor.shared }, handler: handler)
      }
      let channel = Channel(
        to: "127.0.0.1:\(server.port)", credentials: .insecure,
        arguments: .client(maximumMessageLength: maximum, connectTimeout: .seconds(120)),
        queue: queue)
      let result: Result<Void, any Error>
      do { result = .success(try await body(channel, server)) } catch { result = .failure(error) }
      server.beginShutdown(deadline: .zero)
      try await group.waitForAll()
      try result.get()
    }
  }

  static let echo: Server.Handler = { call in
    while let message = await call.receive() {
      guard await call.send(OutgoingMessage(message.bytes)) else { return }
    }
    await call.finish()
  }

  @Test("messages of any length come back, in order", arguments: [0, 1, 23, 24, 65_536, 1_000_000])
  func unary(_ length: Int) async throws {
    try await Self.withServer(Self.echo) { channel, _ in
      let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      let call = channel.makeCall("/echo", timeout: .seconds(120))
      let answer = try await call.unary(OutgoingMessage(bytes))
      #expect(answer.count == length && answer.bytes == bytes)
      let stream = channel.makeCall("/echo", timeout: .seconds(120))
      #expect(await stream.start(OutgoingMessage(bytes)))
      for number in 0..<20 {
        #expect(await stream.receive()?.count == (number == 0 ? length : number))
        let next = [UInt8](repeating: 7, count: number + 1)
        #expect(await stream.send(OutgoingMessage(next)))
      }
      #expect(await stream.receive()?.count == 20)
      #expect(await stream.sendLast(OutgoingMessage([1])))
      #expect(await stream.receive()?.bytes == [1])
      #expect(await stream.receive() == nil)
      #expect(await stream.status().code == .ok)
    }
  }

  @Test("the owner of a payload is let go of once it is sent")
  func slices() async throws {
    final class Owner: Sendable {
      let released: Counter
      init(_ released: Counter) { self.released = released }
      deinit { released.value.wrappingAdd(1, ordering: .relaxed) }
    }
    final class Counter: Sendable { let value = Atomic(0) }
    let released = Counter()
    try await Self.withServer(Self.echo) { channel, _ in
      let buffer = AlignedBuffer(count: 262_144)
      buffer.zero(0..<buffer.count)
      for _ in 0..<10 {
        let call = channel.makeCall("/echo", timeout: .seconds(120))
        let slice = MessageSlice(buffer, 4096..<200_000, owner: Owner(released))
        let answer = try await call.unary(OutgoingMessage([1, 2, 3], slice, [4]))
        #expect(answer.count == 195_904 + 4)
      }
    }
    while released.value.load(ordering: .relaxed) < 10 {
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  @Test("a call ends at its deadline, and a single operation at its own")
  func deadlines() async throws {
    try await Self.withServer({ call in
      // Cancelled with the call.
      while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
      await call.finish(RPCStatus(.ok))
    }) { channel, _ in
      let call = channel.makeCall("/hang", timeout: .milliseconds(200))
      await #expect { try await call.unary(OutgoingMessage([1])) } throws: {
        ($0 as? RPCStatus)?.code == .deadlineExceeded
      }
      let stream = channel.makeCall("/hang", timeout: .seconds(600))
      #expect(await stream.start(OutgoingMessage([1])))
      stream.beginOperation(timeout: .milliseconds(100))
      #expect(await stream.receive() == nil)
      #expect(await stream.status().code == .deadlineExceeded)
    }
  }

  @Test("a message that is received ahead comes before it is asked for")
  func receivedAhead() async throws {
    final class Flag: Sendable { let isSet = Atomic(false) }
    let sent = Flag()
    let length = 3_000_000
    try await Self.withServer(
      maximum: 4 << 20,
      { call in
        _ = await call.receive()
        guard await call.send(OutgoingMessage([1])) else { return }
        // More than the window, which is what comes of a message that nobody waits for.
        guard await call.send(OutgoingMessage([UInt8](repeating: 2, count: length))) else { return }
        if await call.flush() { sent.isSet.store(true, ordering: .relaxed) }
        await call.finish(OutgoingMessage([3]))
      }
    ) { channel, _ in
      let call = channel.makeCall("/two", timeout: .seconds(300))
      #expect(await call.start(OutgoingMessage([]), isLast: true))
      #expect(await call.receive()?.bytes == [1])
      call.receiveAhead()
      call.receiveAhead()
      while !sent.isSet.load(ordering: .relaxed), call.endedWith == nil {
        try await Task.sleep(for: .milliseconds(5))
      }
      let wasSent = sent.isSet.load(ordering: .relaxed)
      #expect(wasSent)
      #expect(await call.receive()?.count == length)
      #expect(await call.receive()?.bytes == [3])
      call.receiveAhead()
      #expect(await call.receive() == nil)
      #expect(await call.receive() == nil)
      #expect(await call.status().code == .ok)
    }
  }

  @Test("of a message that nobody waits for, most stays with the sender")
  func unasked() async throws {
    final class Flag: Sendable { let isSet = Atomic(false) }
    let sent = Flag()
    let length = 400_000
    try await Self.withServer({ call in
      guard let first = await call.receive() else { return }
      guard first.bytes == [2] else {
        await call.finish(OutgoingMessage(first.bytes))
        return
      }
      guard await call.send(OutgoingMessage([1])) else { return }
      guard await call.send(OutgoingMessage([UInt8](repeating: 2, count: length))) else { return }
      if await call.flush() { sent.isSet.store(true, ordering: .relaxed) }
      await call.finish()
    }) { channel, _ in
      let call = channel.makeCall("/two", timeout: .seconds(300))
      #expect(await call.start(OutgoingMessage([2]), isLast: true))
      #expect(await call.receive()?.bytes == [1])
      // Round trips of the same connection, more than the message would take in steps of 64 KiB.
      for _ in 0..<100 {
        let other = channel.makeCall("/ping", timeout: .seconds(120))
        _ = try await other.unary(OutgoingMessage([1]))
      }
      let wasSent = sent.isSet.load(ordering: .relaxed)
      #expect(!wasSent)
      #expect(await call.receive()?.count == length)
      #expect(await call.receive() == nil)
      #expect(await call.status().code == .ok)
      let isSent = sent.isSet.load(ordering: .relaxed)
      #expect(isSent)
    }
  }

  @Test("the cancellation of a task ends its call on both sides")
  func cancellation() async throws {
    let (stream, seen) = AsyncStream.makeStream(of: Bool.self)
    try await Self.withServer({ call in
      seen.yield(false)
      _ = await call.receive()
      _ = await call.receive()
      while !Task.isCancelled { try? await Task.sleep(for: .milliseconds(5)) }
      seen.yield(true)
    }) { channel, _ in
      let task = Task {
        let call = channel.makeCall("/hang", timeout: .seconds(600))
        _ = await call.start(OutgoingMessage([1]))
        _ = await call.receive()
        return await call.status().code
      }
      var events = stream.makeAsyncIterator()
      #expect(await events.next() == false)
      task.cancel()
      #expect(await task.value == .cancelled)
      #expect(await events.next() == true)
    }
  }

  @Test("a handler that forgets to answer, or to read, ends its call all the same")
  func forgetful() async throws {
    try await Self.withServer({ _ in }) { channel, _ in
      let call = channel.makeCall("/forget", timeout: .seconds(120))
      await #expect {
        try await call.unary(OutgoingMessage([UInt8](repeating: 1, count: 900_000)))
      } throws: { ($0 as? RPCStatus)?.code == .internal }
    }
  }

  @Test("a message above the limit ends its call only")
  func tooLarge() async throws {
    try await Self.withServer(maximum: 1000, Self.echo) { channel, _ in
      let call = channel.makeCall("/echo", timeout: .seconds(120))
      await #expect {
        try await call.unary(OutgoingMessage([UInt8](repeating: 1, count: 1001)))
      } throws: { ($0 as? RPCStatus)?.code == .resourceExhausted }
      let next = channel.makeCall("/echo", timeout: .seconds(120))
      let answer = try await next.unary(OutgoingMessage([UInt8](repeating: 1, count: 1000)))
      #expect(answer.count == 1000)
    }
  }

  @Test("metadata comes over, and two servers do not share a port")
  func metadata() async throws {
    try await Self.withServer({ call in
      await call.finish(OutgoingMessage(call.metadata("some-key").flatMap { $0 }))
    }) { channel, server in
      let call = channel.makeCall(
        "/metadata", timeout: .seconds(120), metadata: [("some-key", "a"), ("some-key", "bc")])
      let answer = try await call.unary(OutgoingMessage([]))
      #expect(answer.bytes == Array("abc".utf8))
      #expect(throws: ServerError.self) {
        try Server(
          on: "127.0.0.1:\(server.port)", credentials: .insecure,
          arguments: .server(
            maximumMessageLength: 1000, streamsPerConnection: 10, memoryQuota: 1 << 20))
      }
    }
  }

  @Test("threads of one queue work at the same time")
  func threads() async throws {
    let inside = Atomic(0)
    try await Self.withServer(
      queue: CompletionQueue(threadCount: 2),
      { call in
        let message = await call.receive()
        // Here on a thread of the queue, which is held until another one is here too.
        inside.add(1, ordering: .relaxed)
        let end = MonotonicTime.nanoseconds + 60_000_000_000
        while inside.load(ordering: .relaxed) < 2, MonotonicTime.nanoseconds < end { usleep(1000) }
        await call.finish(OutgoingMessage(message?.bytes ?? []))
      }
    ) { channel, _ in
      // Their messages come when both handlers wait for them.
      let calls = (0..<2).map { _ in channel.makeCall("/meet", timeout: .seconds(120)) }
      for call in calls { #expect(await call.start(OutgoingMessage([1]))) }
      for call in calls { #expect(await call.receive()?.bytes == [1]) }
      for call in calls { #expect(await call.status().code == .ok) }
      #expect(inside.load(ordering: .relaxed) == 2)
    }
  }

  @Test("streams of several threads keep their order")
  func manyStreams() async throws {
    try await Self.withServer(queue: CompletionQueue(threadCount: 4), Self.echo) { channel, _ in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<64 {
          group.addTask(executorPreference: InlineExecutor.shared) {
            let call = channel.makeCall("/echo", timeout: .seconds(120))
            func message(_ turn: Int) -> [UInt8] {
              [UInt8](repeating: UInt8(truncatingIfNeeded: turn &* 7 &+ number), count: turn * 331)
            }
            #expect(await call.start(OutgoingMessage(message(0))))
            for turn in 0..<40 {
              #expect(await call.receive()?.bytes == message(turn))
              // One in eight is given up half-way.
              if number % 8 == 0, turn == 20 { return call.cancel() }
              let isLast = turn == 39
              let next = OutgoingMessage(message(turn + 1))
              #expect(await isLast ? call.sendLast(next) : call.send(next))
            }
            #expect(await call.receive()?.bytes == message(40))
            #expect(await call.receive() == nil)
            #expect(await call.status().code == .ok)
          }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("queues and channels come and go")
  func lifetimes() async throws {
    for _ in 0..<20 {
      let queue = CompletionQueue(threadCount: 3)
      let channel = Channel(
        to: "127.0.0.1:1", credentials: .insecure,
        arguments: .client(maximumMessageLength: 1000, connectTimeout: .seconds(120)), queue: queue)
      let call = channel.makeCall("/none", timeout: .seconds(120))
      await #expect(throws: RPCStatus.self) { try await call.unary(OutgoingMessage([])) }
    }
  }
}
