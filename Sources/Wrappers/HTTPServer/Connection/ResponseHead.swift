/// Writes response heads (RFC 9112 §4).
enum ResponseHead {
  /// Why a response must not be sent.
  struct Invalid: Error {}

  /// How the body is delimited.
  enum Framing {
    /// No body and no field about one.
    case absent
    case length(Int)
    case chunked
    /// The end of the connection ends the body: HTTP/1.0 only.
    case untilClose
  }

  struct Connection {
    var framing: Framing
    var keepsAlive: Bool
    var minorVersion: Int
    /// HEAD and 304: a Content-Length of the handler speaks of another response.
    var allowsForeignLength: Bool
  }

  /// Appends a head; on a throw nothing is appended that may be sent.
  static func append(
    to output: inout [UInt8], _ answer: HTTPResponse, _ connection: Connection,
    serverLine: [UInt8], dateLine: [UInt8]
  ) throws(Invalid) {
    guard (200...599).contains(answer.status) else { throw Invalid() }
    if answer.status == 200 {
      output.append(contentsOf: "HTTP/1.1 200 OK\r\n".utf8)
    } else {
      let reason = reason(answer.status)
      output.append(contentsOf: "HTTP/1.1 \(answer.status) \(reason)\r\n".utf8)
    }
    var framing = connection.framing
    var hasDate = false
    var hasServer = false
    for (name, value) in answer.headers {
      switch try append(to: &output, name, value) {
      case .ordinary: break
      case .date: hasDate = true
      case .server: hasServer = true
      case .forbidden: throw Invalid()
      case .contentLength:
        guard let length = Int(value), value.utf8.first.map({ $0 >= 0x30 }) == true else {
          throw Invalid()
        }
        if case .length(let actual) = framing, actual == length {
          framing = .absent
        } else if connection.allowsForeignLength {
          framing = .absent
        } else {
          throw Invalid()
        }
      }
    }
    if !hasDate { output.append(contentsOf: dateLine) }
    if !hasServer { output.append(contentsOf: serverLine) }
    switch framing {
    case .absent, .untilClose: break
    case .length(let length):
      output.append(contentsOf: "Content-Length: ".utf8)
      appendDecimal(length, to: &output)
      output.append(contentsOf: "\r\n".utf8)
    case .chunked: output.append(contentsOf: "Transfer-Encoding: chunked\r\n".utf8)
    }
    if !connection.keepsAlive {
      output.append(contentsOf: "Connection: close\r\n\r\n".utf8)
    } else if connection.minorVersion == 0 {
      output.append(contentsOf: "Connection: keep-alive\r\n\r\n".utf8)
    } else {
      output.append(contentsOf: "\r\n".utf8)
    }
  }

  private enum FieldKind {
    case ordinary, date, server, contentLength, forbidden
  }

  private static func append(
    to output: inout [UInt8], _ name: String, _ value: String
  ) throws(Invalid) -> FieldKind {
    let start = output.count
    output.append(contentsOf: name.utf8)
    let nameEnd = output.count
    guard nameEnd > start else { throw Invalid() }
    for index in start..<nameEnd where !CharacterClass.isToken(output[index]) { throw Invalid() }
    output.append(0x3a)
    output.append(0x20)
    output.append(contentsOf: value.utf8)
    for index in (nameEnd + 2)..<output.count where !CharacterClass.isFieldValue(output[index]) {
      throw Invalid()
    }
    output.append(0x0d)
    output.append(0x0a)
    switch nameEnd - start {
    case 4 where matches(output, start, "date"): return .date
    case 6 where matches(output, start, "server"): return .server
    case 10 where matches(output, start, "connection"): return .forbidden
    case 14 where matches(output, start, "content-length"): return .contentLength
    case 17 where matches(output, start, "transfer-encoding"): return .forbidden
    default: return .ordinary
    }
  }

  private static func matches(_ output: [UInt8], _ start: Int, _ name: StaticString) -> Bool {
    name.withUTF8Buffer { expected in
      for offset in 0..<expected.count
      where unsafe CharacterClass.lowercased(output[start + offset]) != expected[offset] {
        return false
      }
      return true
    }
  }

  private static func appendDecimal(_ number: Int, to output: inout [UInt8]) {
    if number >= 10 { appendDecimal(number / 10, to: &output) }
    output.append(UInt8(truncatingIfNeeded: 0x30 + number % 10))
  }

  /// The reason phrase of RFC 9110 §15; empty for a status it does not name.
  static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 206: "Partial Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 422: "Unprocessable Content"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    case 507: "Insufficient Storage"
    default: ""
    }
  }
}
