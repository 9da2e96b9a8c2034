import Base
import Glibc
import Runtime
import TestSupport
import Testing

/// One answer as a client sees it.
struct Answer: Sendable {
  var status: Int
  var headers: [(name: String, value: String)]
  var body: [UInt8]

  /// The first header of a lower-case name.
  func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name }?.value
  }

  var json: JSONValue? { try? JSONValue(parsing: body) }
  var text: String { String(decoding: body, as: UTF8.self) }
}

enum ClientFailure: Error {
  case system(Int32)
  case noAnswer
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
    let isHead = method == "HEAD"
    return try await clientThreads.run {
      let connection = try RawConnection(port: port)
      connection.send(request)
      return try Self.parse(connection.receiveAll(), isHead: isHead)
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
    let connection = try RawConnection(port: port)
    await clientThreads.run { connection.send(bytes) }
    try await eventually(condition)
    connection.reset()
  }

  private static func parse(_ bytes: [UInt8], isHead: Bool) throws -> Answer {
    guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
      throw ClientFailure.noAnswer
    }
    let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(
      separator: "\r\n")
    guard let status = lines.first.flatMap({ Int($0.dropFirst(9).prefix(3)) }) else {
      throw ClientFailure.noAnswer
    }
    let headers = lines.dropFirst().map { line -> (name: String, value: String) in
      let pieces = line.split(separator: ":", maxSplits: 1)
      return (String(pieces[0]), String(pieces[1].drop { $0 == " " }))
    }
    return Answer(status: status, headers: headers, body: Array(bytes[end.upperBound...]))
  }
}

/// A blocking TCP connection to the loopback address.
final class RawConnection: @unchecked Sendable {
  private var descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw ClientFailure.system(errno) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw ClientFailure.system(errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    close(descriptor)
    descriptor = -1
  }

  func send(_ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return }
      done += count
    }
  }

  func receiveAll() -> [UInt8] {
    var result: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = recv(descriptor, &piece, piece.count, 0)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return result }
      result += piece[..<count]
    }
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
