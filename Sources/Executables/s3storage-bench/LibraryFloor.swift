import Base
import GRPC
import Glibc
import Runtime

/// What the RPC library costs by itself: messages as long as the chunk service's go from the memory
/// of one process to that of another, on the threads that events come on, and are copied once where
/// they arrive. Nothing is checked, and nothing waits for a disk.
enum LibraryFloor {
  private static let messageLength = ByteCount.mebibyte
  private static let streams = 4

  /// Serves until standard input ends, and prints the port first. With `identity`, over mutual TLS.
  static func serve(identity: TLSIdentity?, announce: (Int) -> Void) async throws {
    let input = ThreadPool(name: "input", threadCount: 1)
    let server = try Server(
      on: "127.0.0.1:0", credentials: identity.map { .mutualTLS($0) } ?? .insecure,
      arguments: .server(
        maximumMessageLength: 2 * messageLength, streamsPerConnection: 2 * streams,
        memoryQuota: 512 * ByteCount.mebibyte))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await server.run(executor: { _ in InlineExecutor.shared }, handler: answer)
      }
      announce(server.port)
      await input.run { while getchar() != EOF {} }
      server.beginShutdown(deadline: .zero)
      try await group.waitForAll()
    }
  }

  /// Moves `byteCount` bytes each way from and to the server at `port`, which is called `name` where
  /// there is an identity. CPU is that of this process.
  static func measure(
    port: Int, byteCount: Int, identity: TLSIdentity?, name: String
  ) async throws -> [(name: String, value: Double)] {
    var arguments = ChannelArguments.client(maximumMessageLength: 2 * messageLength)
    if identity != nil { arguments.expectServerName(name) }
    let channel = Channel(
      to: "127.0.0.1:\(port)",
      credentials: identity.map { .mutualTLS($0.current.material) } ?? .insecure,
      arguments: arguments)
    let messages = max(1, byteCount / streams / messageLength)
    let put = try await repeated(messages) { try await Self.put(messages, channel) }
    let get = try await repeated(messages) { try await Self.get(messages, channel) }
    return [("put_cpu_seconds_per_gib", put), ("get_cpu_seconds_per_gib", get)]
  }

  @Sendable
  private static func answer(_ call: ServerCall) async {
    guard let first = await call.receive() else { return }
    let buffer = AlignedBuffer(count: messageLength)
    buffer.zero(0..<messageLength)
    // How many messages are asked for; else it is the first of those that come.
    guard let count = Int(String(decoding: first.bytes.prefix(16), as: UTF8.self)) else {
      copy(first, to: buffer)
      while let message = await call.receive() { copy(message, to: buffer) }
      await call.finish(OutgoingMessage([]))
      return
    }
    for _ in 0..<count {
      guard await call.send(message(buffer)) else { return }
    }
    await call.finish()
  }

  private static func put(_ count: Int, _ channel: Channel) async throws {
    let buffer = AlignedBuffer(count: messageLength)
    buffer.zero(0..<messageLength)
    let call = channel.makeCall("/bench/Put", timeout: .seconds(600))
    var isSent = await call.start(message(buffer), isLast: count == 1)
    for index in 1..<max(count, 1) where isSent {
      let isLast = index == count - 1
      isSent = await isLast ? call.sendLast(message(buffer)) : call.send(message(buffer))
    }
    while await call.receive() != nil {}
    try check(await call.status())
  }

  private static func get(_ count: Int, _ channel: Channel) async throws {
    let buffer = AlignedBuffer(count: messageLength)
    let call = channel.makeCall("/bench/Get", timeout: .seconds(600))
    _ = await call.start(OutgoingMessage(Array("\(count)".utf8)), isLast: true)
    while let message = await call.receive() { copy(message, to: buffer) }
    try check(await call.status())
  }

  private static func check(_ status: RPCStatus) throws {
    guard status.code == .ok else { throw status }
  }

  private static func message(_ buffer: AlignedBuffer) -> OutgoingMessage {
    OutgoingMessage([], MessageSlice(buffer, 0..<messageLength, owner: buffer))
  }

  private static func copy(_ message: ReceivedMessage, to buffer: AlignedBuffer) {
    var reader = message.reader
    try? reader.read(min(message.count, messageLength), into: buffer, at: 0)
  }

  /// Seconds of CPU for a GiB by all streams, each of so many messages.
  private static func repeated(
    _ messages: Int, _ body: @escaping @Sendable () async throws -> Void
  ) async throws -> Double {
    let before = Floor.processorTime()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<streams {
        group.addTask(executorPreference: InlineExecutor.shared) { try await body() }
      }
      try await group.waitForAll()
    }
    let gibibytes = Double(streams * messages * messageLength) / Double(ByteCount.gibibyte)
    return (Floor.processorTime() - before) / gibibytes
  }
}
