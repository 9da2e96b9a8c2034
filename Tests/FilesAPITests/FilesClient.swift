import Base
import Runtime
import TestSupport
import Testing

typealias Answer = HTTPAnswer

extension HTTPAnswer {
  var json: JSONValue? { try? JSONValue(parsing: body) }
}

/// Threads for clients, which block.
private let clientThreads = ThreadPool(name: "test-client", threadCount: 8)

/// A client that sends one request for each connection.
struct FilesClient: Sendable {
  let port: UInt16
  var authorization: String?

  init(_ port: UInt16, bearer: String?) {
    self.port = port
    authorization = bearer.map { "Bearer \($0)" }
  }

  func send(
    _ method: String, _ target: String, headers: [(String, String)] = [], body: [UInt8]? = nil
  ) async throws -> Answer {
    var head = "\(method) \(target) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n"
    if let authorization { head += "Authorization: \(authorization)\r\n" }
    for (name, value) in headers { head += "\(name): \(value)\r\n" }
    if let body { head += "Content-Length: \(body.count)\r\n" }
    let request = Array((head + "\r\n").utf8) + (body ?? [])
    return try await clientThreads.run {
      let connection = try LoopbackConnection(port: port)
      connection.send(request)
      return try Answer(parsing: connection.receiveAll())
    }
  }

  /// Uploads a form with one file.
  func upload(
    _ content: [UInt8], name: String = "a.txt", type: String? = "text/plain"
  ) async throws -> Answer {
    let quoted = name.replacing("\"", with: "\\\"")
    let form = Form.make([.file(name: quoted, type: type, content)])
    return try await send("POST", "/files", headers: [Form.contentType], body: form)
  }

  /// Sends raw bytes and closes in order or by a reset; no answer is waited for.
  func sendAndLeave(_ bytes: [UInt8], until condition: @escaping @Sendable () -> Bool) async throws
  {
    let connection = try LoopbackConnection(port: port)
    _ = await clientThreads.run { connection.send(bytes) }
    try await eventually(condition)
    connection.reset()
  }
}

/// Makes multipart/form-data bodies.
enum Form {
  static let boundary = "----boundary7MA4YWxkTrZu0gW"
  static let contentType = ("Content-Type", "multipart/form-data; boundary=\(boundary)")

  struct Part {
    var head: String
    var content: [UInt8]

    static func file(
      name: String, type: String? = nil, field: String = "file", _ content: [UInt8]
    ) -> Part {
      var head = "Content-Disposition: form-data; name=\"\(field)\"; filename=\"\(name)\"\r\n"
      if let type { head += "Content-Type: \(type)\r\n" }
      return Part(head: head, content: content)
    }

    static func field(_ name: String, _ content: [UInt8]) -> Part {
      Part(head: "Content-Disposition: form-data; name=\"\(name)\"\r\n", content: content)
    }
  }

  static func make(_ parts: [Part], boundary: String = boundary) -> [UInt8] {
    var result: [UInt8] = []
    for part in parts {
      result += Array("--\(boundary)\r\n\(part.head)\r\n".utf8) + part.content
      result += Array("\r\n".utf8)
    }
    return result + Array("--\(boundary)--\r\n".utf8)
  }
}
