import Runtime
import Synchronization
import TestSupport
import Testing

@testable import HTTPServer

@Suite("Event loops")
struct LoopTests {
  /// Runs `look` with every connection of a server, on the threads of their loops.
  private static func inspect<R: Sendable>(
    _ server: HTTPServer, _ look: @escaping @Sendable (Connection) -> R
  ) async -> [R] {
    var result: [R] = []
    for loop in server.loops {
      result += await withCheckedContinuation { continuation in
        let isTaken = loop.execute {
          continuation.resume(returning: loop.slots.compactMap { $0 }.map(look))
        }
        if !isTaken { continuation.resume(returning: []) }
      }
    }
    return result
  }

  @Test("Idle connections hold no buffers, whatever they did before")
  func idleConnectionsAreSmall() async throws {
    try await withServer { server, port in
      let clients = try await asClient {
        try (0..<100).map { index in
          let client = try TestClient(port: port)
          switch index % 4 {
          case 0: client.send("GET /small HTTP/1.1\r\nHost: x\r\n\r\n")
          case 1:
            client.send("PUT /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n")
            client.send([UInt8](repeating: 1, count: 70_000))
          case 2:
            client.send(
              "PUT /sink HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "3\r\nabc\r\n0\r\n\r\n")
          default:
            client.send(
              "GET /small HTTP/1.1\r\nHost: x\r\nA: \(String(repeating: "a", count: 40_000))\r\n\r\n"
            )
          }
          client.receive(responses: 1)
          return SendableClient(client)
        }
      }
      #expect(clients.allSatisfy { $0.value.statuses == [200] })
      try await eventually { server.statistics.activeRequests == 0 }
      // A connection is idle a moment after its answer was sent.
      var sizes: [Int] = [1]
      while sizes.contains(where: { $0 > 0 }) {
        sizes = await Self.inspect(server) { $0.window.capacity + $0.response.output.capacity }
      }
      #expect(sizes.count == 100)
    }
  }

  @Test("Connections spread over the loops, and away from one that is at work")
  func spreadsConnections() async throws {
    let released = SharedFlag()
    try await withServer(handler: { _ in
      while !released.isSet { try await Task.sleep(for: .milliseconds(1)) }
      return HTTPResponse(status: 204)
    }) { server, port in
      var clients = [SendableClient(try TestClient(port: port))]
      clients[0].value.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
      try await eventually { server.statistics.activeRequests == 1 }
      for count in 2...5 {
        clients.append(SendableClient(try TestClient(port: port)))
        try await eventually { server.statistics.openConnections == count }
      }
      // The four idle ones are all on the loop without a request.
      let counts = server.loops.map { $0.connectionCount.load(ordering: .relaxed) }
      #expect(counts.sorted() == [1, 4])
      released.set()
      let first = clients[0]
      try await asClient { _ = first.value.receive(responses: 1) }
      try await eventually { server.statistics.activeRequests == 0 }
      for count in 6...8 {
        clients.append(SendableClient(try TestClient(port: port)))
        try await eventually { server.statistics.openConnections == count }
      }
      // Without requests the fewest connections decide.
      #expect(server.loops.map { $0.connectionCount.load(ordering: .relaxed) } == [4, 4])
    }
  }

  @Test("The character classes are those of the specifications")
  func classesAreRight() {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    let token = Set((letters + "!#$%&'*+-.^_`|~").utf8)
    let host = Set((letters + "!$%&'()*+-.:;=[]_~").utf8)
    for byte in UInt8.min...UInt8.max {
      #expect(CharacterClass.isToken(byte) == token.contains(byte))
      #expect(CharacterClass.isHost(byte) == host.contains(byte))
      #expect(CharacterClass.isFieldValue(byte) == (byte == 9 || byte >= 32 && byte != 127))
      #expect(CharacterClass.isTarget(byte) == (byte > 32 && byte != 127))
      let digit = byte < 128 ? UInt8(String(Unicode.Scalar(byte)), radix: 16) : nil
      #expect(CharacterClass.hexDigit(byte) == digit)
    }
  }

  @Test("Fields are found whatever the letter case, in order, without blanks")
  func findsFields() throws {
    let text = "GET http://h:1/p?a?b HTTP/1.1\r\nHost: x\r\nA-b:  1 \r\nC: \r\na-B: 2\r\n\r\n"
    let head = try RequestHeadParser.parse(Array(text.utf8), maximumFields: 10).head
    #expect(head.values(of: "A-B").map { String(decoding: $0, as: UTF8.self) } == ["1", "2"])
    #expect(head.text(of: "c") == "" && head.text(of: "d") == nil)
    #expect(head.fields.count(of: "a-b") == 2 && head.fields.count == 4)
    #expect(Array(head.path) == Array("/p".utf8))
    #expect(head.query.map(Array.init) == Array("a?b".utf8))
    #expect(Array(head.authority) == Array("h:1".utf8))
  }

  @Test("Framing that outweighs its data, and trailers without end, are refused", arguments: 0..<4)
  func boundsChunkFraming(kind: Int) throws {
    var bytes: [UInt8] = []
    switch kind {
    case 0: bytes = Array("1;\(String(repeating: "a", count: 5000))\r\n".utf8)
    case 1:
      for _ in 0..<100 { bytes += Array("1;\(String(repeating: "a", count: 400))\r\nx\r\n".utf8) }
    case 2: bytes = Array("0\r\nA: \(String(repeating: "a", count: 20_000))".utf8)
    default: bytes = Array("0\r\n\(String(repeating: "A: b\r\n", count: 65))\r\n".utf8)
    }
    var decoder = ChunkedDecoder()
    var position = 0
    #expect(throws: HTTPRefusal.self) {
      while position < bytes.count {
        guard try decoder.advance(bytes.span, &position) == .data else { break }
        let count = min(decoder.remainingInChunk, bytes.count - position)
        decoder.consumeData(count)
        position += count
      }
    }
  }
}

/// A flag that a test sets and a handler watches.
final class SharedFlag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
}
