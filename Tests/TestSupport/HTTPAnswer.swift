/// One answer as a client sees it.
public struct HTTPAnswer: Sendable {
  /// What came is no answer.
  public struct Malformed: Error {
    /// All that came.
    public let text: String
  }

  /// The status code.
  public var status: Int
  /// Names and values as they came, in order.
  public var headers: [(name: String, value: String)]
  /// All that follows the head.
  public var body: [UInt8]

  /// Takes apart what came until the end of a connection; heads that only say "go on" are skipped.
  public init(parsing bytes: [UInt8]) throws {
    var rest = bytes[...]
    while true {
      guard let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) else {
        throw Malformed(text: String(decoding: bytes, as: UTF8.self))
      }
      let lines = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
        .split(separator: "\r\n").map(String.init)
      guard let first = lines.first, let status = Int(first.dropFirst(9).prefix(3)) else {
        throw Malformed(text: String(decoding: bytes, as: UTF8.self))
      }
      rest = rest[end.upperBound...]
      if status == 100 { continue }
      self.status = status
      headers = lines.dropFirst().map { line in
        let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
        let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
        return (name: parts[0], value: String(value))
      }
      body = Array(rest)
      return
    }
  }

  /// The first header of a lower-case name.
  public func header(_ name: String) -> String? {
    headers.first { $0.name.lowercased() == name }?.value
  }

  /// The body as text.
  public var text: String { String(decoding: body, as: UTF8.self) }
}
