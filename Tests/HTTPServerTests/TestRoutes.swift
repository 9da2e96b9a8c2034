import HTTPServer
import Runtime

/// The handler that most tests talk to.
enum TestRoutes {
  static let handler: HTTPHandler = { request in
    let path = String(decoding: request.head.path, as: UTF8.self)
    switch path {
    case "/small": return text(200, "hello world\n")
    case "/sink": return text(200, "\(try await count(request.body))\n")
    case "/reject": return text(403, "no\n")
    case "/partial":
      let buffer = AlignedBuffer(count: 4096)
      _ = try await request.body.read(into: buffer, count: 4096)
      return text(400, "seen\n")
    case "/trailers": return try await trailers(request.body)
    case "/collect":
      let body = try await request.body.collect(upTo: 1 << 20)
      return HTTPResponse(status: 200, body: .bytes(body))
    case "/throws": throw TestFailure()
    default: break
    }
    if path.hasPrefix("/echo") || path.contains("/echo") { return echo(request.head) }
    if let size = number(path, after: "/bytes/") { return stream(size, announced: true) }
    if let size = number(path, after: "/chunked/") { return stream(size, announced: false) }
    return text(404, "none\n")
  }

  struct TestFailure: Error {}

  static func text(_ status: Int, _ text: String) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: [("Content-Type", "text/plain")], body: .bytes(Array(text.utf8)))
  }

  private static func number(_ path: String, after prefix: String) -> Int? {
    path.hasPrefix(prefix) ? Int(path.dropFirst(prefix.count)) : nil
  }

  static func count(_ body: HTTPRequestBody) async throws -> Int {
    let buffer = AlignedBuffer(count: 256 << 10)
    var total = 0
    while true {
      let count = try await body.read(into: buffer, count: buffer.count)
      if count == 0 { return total }
      total += count
    }
  }

  private static func trailers(_ body: HTTPRequestBody) async throws -> HTTPResponse {
    var answer = "\(try await count(body))"
    for field in await body.trailers {
      answer += " \(String(decoding: field.name, as: UTF8.self))="
      answer += String(decoding: field.value, as: UTF8.self)
    }
    return text(200, answer + "\n")
  }

  private static func echo(_ head: HTTPRequestHead) -> HTTPResponse {
    var body = Array("\(head.method) ".utf8) + Array(head.target) + [0x0a]
    for field in head.fields {
      body += Array(field.name) + Array(": ".utf8) + Array(field.value) + [0x0a]
    }
    return HTTPResponse(status: 200, body: .bytes(body))
  }

  static func stream(_ size: Int, announced: Bool) -> HTTPResponse {
    HTTPResponse(
      status: 200,
      body: .stream(length: announced ? size : nil) { writer in
        let buffer = AlignedBuffer(count: 256 << 10)
        buffer.zero(0..<buffer.count)
        var left = size
        while left > 0 {
          let count = min(left, buffer.count)
          try await writer.write(buffer, 0..<count)
          left -= count
        }
      })
  }
}
