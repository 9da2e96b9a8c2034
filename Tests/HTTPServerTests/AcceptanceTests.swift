import HTTPServer
import Testing

/// Requests at the edge of what is allowed, with what they must be answered.
struct AcceptanceCase: Sendable, CustomTestStringConvertible {
  let name: String
  let request: String
  let statuses: [Int]
  let contains: String
  var testDescription: String { name }

  init(_ name: String, _ request: String, _ statuses: [Int] = [200], contains: String = "") {
    self.name = name
    self.request = request
    self.statuses = statuses
    self.contains = contains
  }

  private static let host = "Host: x\r\n"
  private static let small = "GET /small HTTP/1.1\r\n\(host)\r\n"
  private static let chunked = "HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n"

  static let all = [
    AcceptanceCase(
      "lower/upper hex chunks",
      "PUT /sink \(chunked)\r\nA\r\n0123456789\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
      contains: "\r\n\r\n20\n"),
    AcceptanceCase(
      "TE Chunked (case)",
      "PUT /sink HTTP/1.1\r\n\(host)transfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      contains: "\r\n\r\n3\n"),
    AcceptanceCase(
      "trailers", "PUT /trailers \(chunked)Trailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: v1\r\n\r\n",
      contains: "3 X-T=v1"),
    AcceptanceCase("pipelined 3", small + small + small, [200, 200, 200]),
    AcceptanceCase(
      "pipelined PUT+GET",
      "PUT /sink HTTP/1.1\r\n\(host)Content-Length: 3\r\n\r\nabc\(small)", [200, 200]),
    AcceptanceCase(
      "pipelined chunked+GET", "PUT /sink \(chunked)\r\n3\r\nabc\r\n0\r\n\r\n\(small)", [200, 200]),
    AcceptanceCase(
      "unread body, then GET",
      "PUT /reject HTTP/1.1\r\n\(host)Content-Length: 3\r\n\r\nabc\(small)", [403, 200]),
    AcceptanceCase(
      "unread chunked body, then GET",
      "PUT /reject \(chunked)\r\n3\r\nabc\r\n2\r\nxy\r\n0\r\n\r\n\(small)", [403, 200]),
    AcceptanceCase("HTTP/1.0 close", "GET /small HTTP/1.0\r\n\r\n", contains: "Connection: close"),
    AcceptanceCase(
      "HTTP/1.0 keep-alive",
      "GET /small HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /small HTTP/1.0\r\n\r\n",
      [200, 200], contains: "Connection: keep-alive"),
    AcceptanceCase("leading CRLF", "\r\n\(small)"),
    AcceptanceCase(
      "absolute-form", "GET http://x/echo HTTP/1.1\r\n\(host)\r\n", contains: "GET http://x/echo\n"),
    AcceptanceCase("method DELETE w/o body", "DELETE /x HTTP/1.1\r\n\(host)\r\n", [404]),
    AcceptanceCase("unknown method token", "FOO /x HTTP/1.1\r\n\(host)\r\n", [404]),
    AcceptanceCase(
      "Connection: close", "GET /small HTTP/1.1\r\n\(host)Connection: close\r\n\r\n",
      contains: "Connection: close"),
    AcceptanceCase(
      "obs-text in value", "GET /echo HTTP/1.1\r\n\(host)X-U: café\r\n\r\n",
      contains: "X-U: café\n"),
    AcceptanceCase(
      "empty header value", "GET /echo HTTP/1.1\r\n\(host)X-E:\r\nX-F: 1\r\n\r\n",
      contains: "X-E: \nX-F: 1\n"),
    AcceptanceCase(
      "value trimmed", "GET /echo HTTP/1.1\r\n\(host)X-E: \t a b \t \r\n\r\n",
      contains: "X-E: a b\n"),
    AcceptanceCase("handler throws", "GET /throws HTTP/1.1\r\n\(host)\r\n\(small)", [500, 200]),
    AcceptanceCase(
      "collect beyond its limit",
      "PUT /collect HTTP/1.1\r\n\(host)Content-Length: 2000000\r\n\r\n", [413],
      contains: "Connection: close"),
  ]

  static let targets = [
    "/echo/a%2Fb", "/echo//x//y", "/echo/../z/./w", "/echo/a+b%20c%2B", "/echo/%C3%A9%00",
    "/echo/?q=%2F&empty&a==b&a=%26", "/echo/a?b?c", "/echo/é", "/echo/a;b:c@d!$'()*,=~",
    "/echo/%zz%", "/echo?list-type=2&prefix=a%20b+c", "/echo/a#b", "/echo/\"<>\\^`{|}",
  ]
}

@Suite("Accepted requests")
struct AcceptanceTests {
  @Test("A request at the edge of the grammar is answered as the grammar says")
  func answersCorpus() async throws {
    try await withServer { _, port in
      for item in AcceptanceCase.all {
        let (statuses, text) = try await asClient {
          let client = try TestClient(port: port)
          client.send(item.request)
          client.endSending()
          client.receiveAll()
          return (client.statuses, client.text)
        }
        #expect(statuses == item.statuses, "\(item.name)")
        #expect(item.contains.isEmpty || text.contains(item.contains), "\(item.name): \(text)")
      }
    }
  }

  @Test("The target and all fields reach the handler byte for byte, in order")
  func keepsRawTargets() async throws {
    try await withServer { _, port in
      for target in AcceptanceCase.targets {
        let text = try await asClient {
          let client = try TestClient(port: port)
          client.send(
            "GET \(target) HTTP/1.1\r\nHost: x\r\nX-One: 1\r\nx-two: 2\r\nX-One: 3\r\n\r\n")
          client.receive(responses: 1)
          return client.text
        }
        #expect(text.contains("GET \(target)\nHost: x\nX-One: 1\nx-two: 2\nX-One: 3\n"))
      }
    }
  }

  @Test(
    "A HEAD response announces its length and carries nothing", arguments: ["small", "bytes/12"])
  func answersHead(path: String) async throws {
    try await withServer { _, port in
      let (statuses, text) = try await asClient {
        let client = try TestClient(port: port)
        client.send(
          "HEAD /\(path) HTTP/1.1\r\nHost: x\r\n\r\nGET /small HTTP/1.1\r\nHost: x\r\n\r\n")
        client.receive { $0.suffix(6).elementsEqual("world\n".utf8) }
        return (client.statuses, client.text)
      }
      #expect(statuses == [200, 200])
      #expect(text.split(separator: "Content-Length: 12\r\n").count == 3)
      #expect(text.split(separator: "hello").count == 2)
    }
  }

  @Test("Requests that arrive byte by byte are the same requests")
  func takesSingleBytes() async throws {
    try await withServer { _, port in
      let text = try await asClient {
        let client = try TestClient(port: port)
        let requests =
          "GET /echo/ab HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n"
          + "PUT /trailers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
          + "5\r\nhello\r\n1;e=f\r\n!\r\n0\r\nT: u\r\n\r\n"
        for byte in requests.utf8 { client.send([byte]) }
        client.receive(responses: 2)
        return client.text
      }
      #expect(text.contains("GET /echo/ab\nHost: x\nX-A: b\n"))
      #expect(text.contains("6 T=u\n"))
    }
  }

  @Test("A head beyond the limits is refused", arguments: [0, 1, 2])
  func boundsHeads(kind: Int) async throws {
    let (request, status) =
      [
        ("GET /small HTTP/1.1\r\nHost: x\r\nX-Big: " + String(repeating: "a", count: 1 << 20), 431),
        ("GET /" + String(repeating: "a", count: 1 << 20) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (
          "GET /small HTTP/1.1\r\nHost: x\r\n"
            + (0..<129).map { "X-\($0): y\r\n" }.joined() + "\r\n", 431
        ),
      ][kind]
    try await withServer { server, port in
      let statuses = try await asClient {
        let client = try TestClient(port: port)
        client.send(request)
        client.endSending()
        client.receiveAll()
        return client.statuses
      }
      #expect(statuses == [status])
      #expect(server.statistics.refusedRequests == 1)
    }
  }

  @Test("128 fields and a head of exactly 64 KiB are taken, one byte more is not")
  func takesHeadsAtTheLimit() async throws {
    func request(size: Int) -> String {
      var head = "GET /small HTTP/1.1\r\nHost: x\r\n"
      for index in 0..<126 { head += "X-\(index): y\r\n" }
      return head + "F: " + String(repeating: "a", count: size - head.utf8.count - 7) + "\r\n\r\n"
    }
    let limit = HTTPLimits().headBytes
    let requests = [request(size: limit), request(size: limit + 1)]
    try await withServer { _, port in
      let statuses = try await asClient {
        try requests.map { request in
          let client = try TestClient(port: port)
          client.send(request)
          client.endSending()
          client.receiveAll()
          return client.statuses
        }
      }
      #expect(statuses == [[200], [431]])
    }
  }
}
