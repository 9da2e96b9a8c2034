import Base

/// A header value with parameters: `form-data; name="file"; filename="a.txt"` (RFC 2045 §5.1,
/// RFC 6266), or a media type.
struct FieldValue: Hashable, Sendable {
  struct Parameter: Hashable, Sendable {
    /// In lower case.
    var name: String
    var value: [UInt8]
  }

  /// What stands before the parameters, in lower case.
  var kind: String
  /// In order; no name twice.
  var parameters: [Parameter]

  /// The value of a parameter by its lower-case name.
  subscript(name: String) -> [UInt8]? { parameters.first { $0.name == name }?.value }

  /// Reads a value; throws for anything that the grammar does not allow.
  ///
  /// In a quoted text a backslash escapes a quote and another backslash only: browsers send file
  /// names with backslashes unescaped.
  init(_ bytes: ArraySlice<UInt8>) throws(FormError) {
    var scanner = Scanner(rest: bytes)
    scanner.skipBlanks()
    let kind = scanner.take { Self.isToken($0) || $0 == UInt8(ascii: "/") }
    guard !kind.isEmpty else { throw FormError("a header field of the form is malformed") }
    self.kind = Self.lowercased(kind)
    parameters = []
    while true {
      scanner.skipBlanks()
      if scanner.rest.isEmpty { return }
      guard scanner.skip(UInt8(ascii: ";")) else { throw Self.malformed }
      scanner.skipBlanks()
      if scanner.rest.isEmpty { return }
      let name = Self.lowercased(scanner.take(while: Self.isToken))
      guard !name.isEmpty, scanner.skip(UInt8(ascii: "=")) else { throw Self.malformed }
      let value = try scanner.takeValue()
      guard self[name] == nil, parameters.count < 16 else { throw Self.malformed }
      parameters.append(Parameter(name: name, value: value))
    }
  }

  static let malformed = FormError("a header field's parameters are malformed")

  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"),
      UInt8(ascii: "&"), UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"),
      UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "^"), UInt8(ascii: "_"),
      UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  static func lowercased(_ bytes: some Sequence<UInt8>) -> String {
    String(decoding: bytes.map { (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
  }

  /// Walks over the bytes of one value.
  private struct Scanner {
    var rest: ArraySlice<UInt8>

    mutating func skip(_ byte: UInt8) -> Bool {
      guard rest.first == byte else { return false }
      rest.removeFirst()
      return true
    }

    mutating func skipBlanks() {
      while let byte = rest.first, byte == 0x20 || byte == 0x09 { rest.removeFirst() }
    }

    mutating func take(while isMember: (UInt8) -> Bool) -> ArraySlice<UInt8> {
      let run = rest.prefix(while: isMember)
      rest = rest[run.endIndex...]
      return run
    }

    mutating func takeValue() throws(FormError) -> [UInt8] {
      guard skip(UInt8(ascii: "\"")) else {
        let token = take(while: FieldValue.isToken)
        guard !token.isEmpty else { throw FieldValue.malformed }
        return Array(token)
      }
      var value: [UInt8] = []
      while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "\"") { return value }
        if byte == UInt8(ascii: "\\"), let next = rest.first,
          next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\")
        {
          rest.removeFirst()
          value.append(next)
        } else {
          value.append(byte)
        }
      }
      throw FieldValue.malformed
    }
  }
}
