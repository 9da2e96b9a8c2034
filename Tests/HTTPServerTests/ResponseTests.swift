import HTTPServer
import Runtime
import TestSupport
import Testing

@Suite("Responses")
struct ResponseTests {
  /// Runs a server that always answers `response` and gives a connected client to `body`.
  private func exchange(
    _ response: HTTPResponse, _ body: @escaping @Sendable (TestClient) throws -> Void
  ) async throws {
    try await withServer(handler: { _ in response }) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try body(client)
      }
    }
  }

  @Test(
    "A header that could split the response, or contradict its framing, becomes a 500",
    arguments: [
      ("X-A", "b\r\nSet-Cookie: c"), ("X-A", "b\nc"), ("X-A", "b\rc"), ("X-A", "b\0c"),
      ("X-A\r\nB", "c"), ("X A", "b"), ("", "b"), ("X-A", "\u{7f}"),
      ("Transfer-Encoding", "chunked"), ("connection", "close"), ("Content-Length", "6"),
      ("Content-Length", "+5"), ("Content-Length", "x"),
    ])
  func refusesBadHeaders(name: String, value: String) async throws {
    let response = HTTPResponse(
      status: 200, headers: [("X-Fine", "1"), (name, value)], body: .bytes(Array("12345".utf8)))
    try await exchange(response) { client in
      #expect(client.receiveAll() == .closed)
      #expect(client.statuses == [500])
      #expect(!client.text.contains("X-Fine") && !client.text.contains("12345"))
    }
  }

  @Test("Date, Server and Content-Length are there once, the handler's first")
  func addsHeaders() async throws {
    let response = HTTPResponse(
      status: 200,
      headers: [("date", "now"), ("X-A", "é"), ("content-length", "2"), ("X-A", "c")],
      body: .bytes([0x68, 0x69]))
    try await exchange(response) { client in
      client.receive(responses: 1)
      #expect(
        client.text == "HTTP/1.1 200 OK\r\ndate: now\r\nX-A: é\r\ncontent-length: 2\r\nX-A: c\r\n"
          + "Server: test\r\n\r\nhi")
    }
    try await exchange(HTTPResponse(status: 404)) { client in
      client.receive(responses: 1)
      #expect(client.text.hasPrefix("HTTP/1.1 404 Not Found\r\nDate: "))
      #expect(client.text.hasSuffix(" GMT\r\nServer: test\r\nContent-Length: 0\r\n\r\n"))
    }
  }

  @Test("204 and 304 have no body, and a 304 may speak of the length of the 200")
  func leavesBodiesOut() async throws {
    let bytes = HTTPResponse.Body.bytes(Array("body".utf8))
    try await exchange(HTTPResponse(status: 204, body: bytes)) { client in
      client.receive(responses: 1)
      #expect(!client.text.contains("Content-Length") && client.text.hasSuffix("\r\n\r\n"))
    }
    let unchanged = HTTPResponse(status: 304, headers: [("Content-Length", "99")])
    try await exchange(unchanged) { client in
      client.receive { _ in client.text.hasSuffix("\r\n\r\n") }
      #expect(client.text.contains("Content-Length: 99\r\n"))
    }
  }

  @Test("A streamed body of unknown length is chunked and keeps the connection")
  func streamsChunked() async throws {
    let response = HTTPResponse(
      status: 200,
      body: .stream(length: nil) { writer in
        try await writer.write(Array("hello".utf8))
        try await writer.write([])
        try await writer.write([UInt8](repeating: 0x21, count: 16))
      })
    try await exchange(response) { client in
      client.receive { $0.suffix(5).elementsEqual("0\r\n\r\n".utf8) }
      #expect(client.text.contains("Transfer-Encoding: chunked\r\n"))
      let body = "\r\n\r\n5\r\nhello\r\n10\r\n!!!!!!!!!!!!!!!!\r\n0\r\n\r\n"
      #expect(client.text.hasSuffix(body))
    }
  }

  @Test("For HTTP/1.0 the end of the connection ends a body of unknown length")
  func streamsUntilClose() async throws {
    try await withServer { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("GET /chunked/100000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(client.receiveAll() == .closed)
        #expect(client.text.contains("Connection: close\r\n\r\n\0"))
        #expect(!client.text.contains("chunked"))
        #expect(client.received.count > 100_000)
      }
    }
  }

  @Test("A handler that fails before its first byte gives a 500", arguments: [nil, 10] as [Int?])
  func failsEarly(length: Int?) async throws {
    let response = HTTPResponse(
      status: 200, body: .stream(length: length) { _ in throw TestRoutes.TestFailure() })
    try await exchange(response) { client in
      #expect(client.receiveAll() == .closed)
      #expect(client.statuses == [500])
    }
  }

  @Test("A body that ends too early is cut off, never made to look whole", arguments: 0..<4)
  func cutsShortBodies(kind: Int) async throws {
    let response = HTTPResponse(
      status: 200,
      body: .stream(length: kind == 0 ? nil : 10) { writer in
        try await writer.write(Array("12345".utf8))
        switch kind {
        case 0, 1: throw TestRoutes.TestFailure()
        case 2: return
        default: try await writer.write(Array("123456".utf8))
        }
      })
    try await exchange(response) { client in
      let end = client.receiveAll()
      #expect(end == .reset)
      #expect(client.statuses == [200])
      #expect(!client.text.hasSuffix("0\r\n\r\n"))
    }
  }

  @Test("A large body arrives whole", arguments: ["bytes", "chunked"])
  func streamsLargeBodies(path: String) async throws {
    try await withServer { _, port in
      let count = try await asClient {
        let client = try TestClient(port: port)
        client.send("GET /\(path)/20000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(client.receiveAll() == .closed)
        return client.received.count { $0 == 0 }
      }
      #expect(count == 20_000_000)
    }
  }

  @Test("A client that takes nothing is cut off")
  func boundsSlowReaders() async throws {
    var limits = HTTPLimits.patient
    limits.writeWaitMilliseconds = 200
    try await withServer(limits: limits) { server, port in
      let client = try await asClient {
        let client = try TestClient(port: port, receiveBuffer: 4096)
        client.send("GET /bytes/1000000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        return SendableClient(client)
      }
      try await eventually { server.statistics.requests == 1 }
      try await eventually { server.statistics.openConnections == 0 }
      client.value.disconnect()
    }
  }
}

/// A client that is used by one task at a time.
struct SendableClient: @unchecked Sendable {
  let value: TestClient
  init(_ value: TestClient) { self.value = value }
}
