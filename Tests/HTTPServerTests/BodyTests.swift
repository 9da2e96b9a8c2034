import HTTPServer
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Request bodies")
struct BodyTests {
  private static let host = "HTTP/1.1\r\nHost: x\r\n"

  @Test("A body arrives unchanged however it is framed and cut", arguments: [false, true])
  func keepsContent(isChunked: Bool) async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    try await withServer { _, port in
      try await asClient {
        var generator = SeededRandom(seed: seed)
        let client = try TestClient(port: port)
        for size in [0, 1, 4095, 16 << 10, 100_000, 1 << 20] {
          let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
          var request = Array("PUT /collect \(Self.host)".utf8)
          if isChunked {
            request += Array("Transfer-Encoding: chunked\r\n\r\n".utf8)
            var rest = body[...]
            while !rest.isEmpty {
              let piece = rest.prefix(Int.random(in: 1...70_000, using: &generator))
              request += Array("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10]
              rest = rest.dropFirst(piece.count)
            }
            request += Array("0\r\n\r\n".utf8)
          } else {
            request += Array("Content-Length: \(size)\r\n\r\n".utf8) + body
          }
          var rest = request[...]
          while !rest.isEmpty {
            let piece = rest.prefix(Int.random(in: 1...60_000, using: &generator))
            client.send(Array(piece))
            rest = rest.dropFirst(piece.count)
          }
          client.forget()
          client.receive(responses: 1)
          let response = TestResponse.parseAll(client.received).first
          #expect(response?.status == 200)
          #expect(response?.body == body, "seed \(seed), \(size) bytes")
        }
      }
    }
  }

  @Test("A client that expects a 100 gets it with the first read")
  func grantsContinue() async throws {
    try await withServer { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("PUT /sink \(Self.host)Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        client.receive { $0.suffix(4).elementsEqual("\r\n\r\n".utf8) }
        #expect(client.text == "HTTP/1.1 100 Continue\r\n\r\n")
        client.send("abc")
        client.receive { _ in client.text.hasSuffix("\r\n\r\n3\n") }
        #expect(client.statuses == [100, 200])
        #expect(!client.text.contains("close"))
      }
    }
  }

  @Test("A handler that does not read spares the client the body: no 100, then the end")
  func refusesBeforeContinue() async throws {
    try await withServer { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send(
          "PUT /reject \(Self.host)Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n")
        #expect(client.receiveAll() == .closed)
        #expect(client.statuses == [403])
        #expect(client.text.contains("Connection: close"))
      }
    }
  }

  @Test("An early answer reaches a client that goes on sending", arguments: [50 << 20, 2 << 30])
  func answersEarly(announced: Int) async throws {
    try await withServer { _, port in
      let path = announced == 50 << 20 ? "reject" : "partial"
      try await asClient {
        let client = try TestClient(port: port)
        client.send("PUT /\(path) \(Self.host)Content-Length: \(announced)\r\n\r\n")
        let piece = [UInt8](repeating: 0x78, count: 64 << 10)
        var sent = 0
        while sent < min(announced, 64 << 20) && client.send(piece) { sent += piece.count }
        #expect(sent < announced)
        client.receiveAll()
        #expect(client.statuses == [announced == 50 << 20 ? 403 : 400])
      }
    }
  }

  @Test("A client that leaves within its body is noticed by the read", arguments: [false, true])
  func noticesTruncation(isChunked: Bool) async throws {
    let outcome = Mutex<HTTPTransferError?>(nil)
    try await withServer(handler: { request in
      do {
        _ = try await TestRoutes.count(request.body)
      } catch let error as HTTPTransferError {
        outcome.withLock { $0 = error }
      }
      return HTTPResponse(status: 200)
    }) { server, port in
      try await asClient {
        let client = try TestClient(port: port)
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: 1000000"
        client.send("PUT / \(Self.host)\(framing)\r\n\r\n3\r\nabc\r\n")
        client.disconnect()
      }
      try await eventually { outcome.withLock { $0 } != nil }
      #expect(outcome.withLock { $0 } == .disconnected)
      try await eventually { server.statistics.openConnections == 0 }
    }
  }

  @Test("A body that stops coming is given up, and so is one that only drips")
  func boundsSlowBodies() async throws {
    var limits = HTTPLimits.patient
    limits.bodyWaitMilliseconds = 200
    try await withServer(limits: limits) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("PUT /sink \(Self.host)Content-Length: 10\r\n\r\nabc")
        client.receiveAll()
        #expect(client.statuses == [408])
      }
    }
    limits.bodyWaitMilliseconds = 10_000
    limits.rateWindowMilliseconds = 300
    limits.bodyBytesPerSecond = 100_000
    try await withServer(limits: limits) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("PUT /sink \(Self.host)Content-Length: 1000000\r\n\r\n")
        while client.receiveMore(within: 20) == .timedOut { client.send("x") }
        client.receiveAll()
        #expect(client.statuses == [408])
      }
    }
  }

  @Test("Body and writer may be used from another executor")
  func worksFromElsewhere() async throws {
    let pool = ThreadPool(name: "elsewhere", threadCount: 1)
    try await withServer(handler: { request in
      let body = request.body
      let count = try await withTaskExecutorPreference(pool) { try await TestRoutes.count(body) }
      return HTTPResponse(
        status: 200,
        body: .stream(length: nil) { writer in
          try await withTaskExecutorPreference(pool) {
            try await writer.write(Array("\(count) bytes".utf8))
          }
        })
    }) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        let body = String(repeating: "x", count: 300_000)
        client.send("PUT / \(Self.host)Content-Length: 300000\r\n\r\n\(body)")
        client.receive { $0.suffix(5).elementsEqual("0\r\n\r\n".utf8) }
        #expect(client.text.contains("\r\n\r\nc\r\n300000 bytes\r\n0\r\n\r\n"))
      }
    }
  }

  @Test("A body kept beyond its request is of no more use")
  func endsWithItsRequest() async throws {
    let kept = Mutex<HTTPRequestBody?>(nil)
    try await withServer(handler: { request in
      kept.withLock { $0 = request.body }
      return HTTPResponse(status: 204)
    }) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        client.send("PUT / \(Self.host)Content-Length: 3\r\n\r\nabc")
        client.receive(responses: 1)
      }
      let body = try #require(kept.withLock { $0 })
      let buffer = AlignedBuffer(count: 4096)
      await #expect(throws: HTTPTransferError.misused) {
        try await body.read(into: buffer, count: 10)
      }
    }
  }

  @Test("A streamed answer may read the body while it is written")
  func echoesWhileReading() async throws {
    try await withServer(handler: { request in
      let body = request.body
      return HTTPResponse(
        status: 200,
        body: .stream(length: body.contentLength) { writer in
          let buffer = AlignedBuffer(count: 64 << 10)
          while true {
            let count = try await body.read(into: buffer, count: buffer.count)
            if count == 0 { break }
            try await writer.write(buffer, 0..<count)
          }
        })
    }) { _, port in
      try await asClient {
        let client = try TestClient(port: port)
        let body = (0..<50_000).map { UInt8(truncatingIfNeeded: $0) }
        for _ in 0..<2 {
          client.forget()
          client.send("PUT / \(Self.host)Content-Length: 50000\r\n\r\n")
          client.send(body)
          client.receive(responses: 1)
          #expect(TestResponse.parseAll(client.received).first?.body == body)
        }
      }
    }
  }
}
