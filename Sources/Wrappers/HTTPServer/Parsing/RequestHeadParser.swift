/// How the body of a request is delimited (RFC 9112 §6).
enum BodyFraming: Equatable {
  case none
  /// So many bytes, at least one.
  case length(Int)
  case chunked
}

/// A request head and what it says about the connection.
struct ParsedHead {
  let head: HTTPRequestHead
  let framing: BodyFraming
  /// The value of Content-Length; nil without the field.
  let contentLength: Int?
  let keepsAlive: Bool
  let expectsContinue: Bool
}

/// Parses one complete head strictly: whatever two servers could read differently is refused.
///
/// Only CR LF ends a line; no folding; one Content-Length of at most 18 digits; Transfer-Encoding
/// exactly `chunked`, once, in 1.1 only and never beside Content-Length; exactly one Host in 1.1.
struct RequestHeadParser {
  private var cursor: ByteCursor
  private var locations: [HTTPFields.Location] = []
  private let maximumFields: Int
  private var minorVersion = 1
  private var contentLength: Int?
  private var encodings = 0
  private var hosts = 0
  private var closes = false
  private var asksKeepAlive = false
  private var expectsContinue = false

  /// The longest method token taken.
  static let maximumMethodLength = 32
  /// Enough for any 18-digit number to fit an Int.
  static let maximumLengthDigits = 18

  /// Parses `bytes`, which are what `HeadScanner` found to be one head.
  static func parse(_ bytes: [UInt8], maximumFields: Int) throws(HTTPRefusal) -> ParsedHead {
    var parser = RequestHeadParser(bytes, maximumFields: maximumFields)
    let line = try parser.requestLine()
    while parser.cursor.current != 0x0d { try parser.field() }
    let framing = try parser.framing()
    let head = HTTPRequestHead(
      method: HTTPMethod(token: bytes[line.method]),
      fields: HTTPFields(bytes: bytes, locations: parser.locations),
      minorVersion: parser.minorVersion, targetRange: line.target, pathRange: line.path)
    return ParsedHead(
      head: head, framing: framing, contentLength: parser.contentLength,
      keepsAlive: !parser.closes && (parser.minorVersion == 1 || parser.asksKeepAlive),
      expectsContinue: parser.expectsContinue && parser.minorVersion == 1)
  }

  private init(_ bytes: [UInt8], maximumFields: Int) {
    cursor = ByteCursor(bytes)
    self.maximumFields = maximumFields
    locations.reserveCapacity(min(24, maximumFields))
  }

  private struct RequestLine {
    var method: Range<Int>
    var target: Range<Int>
    var path: Range<Int>
  }

  private mutating func requestLine() throws(HTTPRefusal) -> RequestLine {
    let method = cursor.take(while: CharacterClass.isToken)
    guard !method.isEmpty, method.count <= Self.maximumMethodLength, cursor.skip(0x20) else {
      throw HTTPRefusal(400, "malformed method")
    }
    let target = cursor.take(while: CharacterClass.isTarget)
    guard !target.isEmpty, cursor.skip(0x20) else { throw HTTPRefusal(400, "malformed target") }
    try version()
    return RequestLine(method: method, target: target, path: try path(of: target, method))
  }

  private mutating func version() throws(HTTPRefusal) {
    guard cursor.skip("HTTP/") else { throw HTTPRefusal(400, "malformed version") }
    guard cursor.skip("1.") else { throw HTTPRefusal(505, "HTTP version not supported") }
    let digit = cursor.current
    guard digit == 0x30 || digit == 0x31 else { throw HTTPRefusal(400, "malformed version") }
    minorVersion = Int(digit - 0x30)
    cursor.position += 1
    guard cursor.skipLineEnd() else { throw HTTPRefusal(400, "malformed version") }
  }

  /// The path within an origin-form or absolute-form target, or the asterisk (RFC 9112 §3.2).
  private func path(of target: Range<Int>, _ method: Range<Int>) throws(HTTPRefusal) -> Range<Int> {
    let bytes = cursor.bytes
    let question = bytes[target].firstIndex(of: 0x3f) ?? target.upperBound
    switch bytes[target.lowerBound] {
    case 0x2f: return target.lowerBound..<question
    case 0x2a where target.count == 1 && cursor.matches(method, "options"): return target
    default: break
    }
    for scheme: StaticString in ["http://", "https://"] {
      let start = target.lowerBound + scheme.utf8CodeUnitCount
      guard start < target.upperBound, cursor.matches(target.lowerBound..<start, scheme) else {
        continue
      }
      let end = bytes[start..<question].firstIndex(of: 0x2f) ?? question
      guard end > start, bytes[start..<end].allSatisfy(CharacterClass.isHost) else { break }
      return end..<question
    }
    throw HTTPRefusal(400, "malformed target")
  }

  private mutating func field() throws(HTTPRefusal) {
    guard locations.count < maximumFields else { throw HTTPRefusal(431, "too many fields") }
    let field = try cursor.takeField()
    locations.append(field)
    let name = Int(field.nameStart)..<Int(field.nameEnd)
    let value = Int(field.valueStart)..<Int(field.valueEnd)
    switch name.count {
    case 4 where cursor.matches(name, "host"):
      hosts += 1
      guard cursor.bytes[value].allSatisfy(CharacterClass.isHost) else {
        throw HTTPRefusal(400, "malformed Host")
      }
    case 6 where cursor.matches(name, "expect"):
      guard cursor.matches(value, "100-continue") else {
        throw HTTPRefusal(417, "unknown expectation")
      }
      expectsContinue = true
    case 10 where cursor.matches(name, "connection"):
      if cursor.list(value, contains: "close") { closes = true }
      if cursor.list(value, contains: "keep-alive") { asksKeepAlive = true }
    case 14 where cursor.matches(name, "content-length"): try length(value)
    case 17 where cursor.matches(name, "transfer-encoding"):
      encodings += 1
      guard cursor.matches(value, "chunked") else {
        throw HTTPRefusal(501, "transfer coding not supported")
      }
    default: break
    }
  }

  private mutating func length(_ value: Range<Int>) throws(HTTPRefusal) {
    guard contentLength == nil, !value.isEmpty, value.count <= Self.maximumLengthDigits else {
      throw HTTPRefusal(400, "malformed Content-Length")
    }
    var length = 0
    for byte in cursor.bytes[value] {
      guard byte >= 0x30 && byte <= 0x39 else {
        throw HTTPRefusal(400, "malformed Content-Length")
      }
      length = length * 10 + Int(byte - 0x30)
    }
    contentLength = length
  }

  private func framing() throws(HTTPRefusal) -> BodyFraming {
    guard hosts == 1 || (hosts == 0 && minorVersion == 0) else {
      throw HTTPRefusal(400, "exactly one Host is wanted")
    }
    guard encodings > 0 else {
      guard let contentLength, contentLength > 0 else { return .none }
      return .length(contentLength)
    }
    guard encodings == 1, contentLength == nil, minorVersion == 1 else {
      throw HTTPRefusal(400, "contradictory framing")
    }
    return .chunked
  }
}
