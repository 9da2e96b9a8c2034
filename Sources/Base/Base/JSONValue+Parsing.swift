extension JSONValue {
  /// Values within values that are read at most.
  public static let maximumDepth = 32

  /// Reads exactly one JSON text (RFC 8259) in UTF-8.
  ///
  /// Strict: no member twice, no trailing commas, no lone surrogates, no characters behind the
  /// value, at most `maximumDepth` levels. The caller bounds the size. Throws what is wrong and
  /// where, without quoting the text.
  public init(parsing bytes: [UInt8]) throws(FormatError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.parseWhole()
  }
}

/// A recursive descent over bytes; the depth is bounded.
private struct JSONParser {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  mutating func parseWhole() throws(FormatError) -> JSONValue {
    let value = try parseValue(depth: 0)
    skipBlanks()
    guard position == bytes.count else { throw error("characters behind the value") }
    return value
  }

  private func error(_ reason: String) -> FormatError {
    FormatError("not JSON at byte \(position): \(reason)")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipBlanks() {
    while let byte = current, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d {
      position += 1
    }
  }

  private mutating func skip(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  private mutating func parseValue(depth: Int) throws(FormatError) -> JSONValue {
    guard depth < JSONValue.maximumDepth else { throw error("too deep") }
    skipBlanks()
    switch current {
    case UInt8(ascii: "{"): return try parseObject(depth: depth)
    case UInt8(ascii: "["): return try parseArray(depth: depth)
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")):
      return try parseNumber()
    case nil: throw error("the text ends")
    default: throw error("no value begins so")
    }
  }

  private mutating func parseWord(
    _ word: String, _ value: JSONValue
  ) throws(FormatError) -> JSONValue {
    guard bytes[position...].starts(with: word.utf8) else { throw error("no value begins so") }
    position += word.utf8.count
    return value
  }

  private mutating func parseObject(depth: Int) throws(FormatError) -> JSONValue {
    position += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    skipBlanks()
    if skip(UInt8(ascii: "}")) { return .object([]) }
    while true {
      skipBlanks()
      guard current == UInt8(ascii: "\"") else { throw error("a member begins with its name") }
      let name = try parseString()
      guard names.insert(name).inserted else { throw error("a member is there twice") }
      skipBlanks()
      guard skip(UInt8(ascii: ":")) else { throw error("a colon is missing") }
      members.append(JSONValue.Member(name, try parseValue(depth: depth + 1)))
      skipBlanks()
      if skip(UInt8(ascii: "}")) { return .object(members) }
      guard skip(UInt8(ascii: ",")) else { throw error("a comma or a closing brace is missing") }
    }
  }

  private mutating func parseArray(depth: Int) throws(FormatError) -> JSONValue {
    position += 1
    var elements: [JSONValue] = []
    skipBlanks()
    if skip(UInt8(ascii: "]")) { return .array([]) }
    while true {
      elements.append(try parseValue(depth: depth + 1))
      skipBlanks()
      if skip(UInt8(ascii: "]")) { return .array(elements) }
      guard skip(UInt8(ascii: ",")) else { throw error("a comma or a closing bracket is missing") }
    }
  }

  private mutating func parseNumber() throws(FormatError) -> JSONValue {
    let start = position
    _ = skip(UInt8(ascii: "-"))
    let isZero = current == UInt8(ascii: "0")
    let whole = skipDigits()
    guard whole > 0, !isZero || whole == 1 else { throw error("not a number") }
    var isWhole = true
    if skip(UInt8(ascii: ".")) {
      isWhole = false
      guard skipDigits() > 0 else { throw error("digits are missing behind the point") }
    }
    if skip(UInt8(ascii: "e")) || skip(UInt8(ascii: "E")) {
      isWhole = false
      if !skip(UInt8(ascii: "+")) { _ = skip(UInt8(ascii: "-")) }
      guard skipDigits() > 0 else { throw error("digits are missing in the exponent") }
    }
    guard position - start <= 64 else { throw error("a number is too long") }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isWhole, let number = Int64(text) { return .integer(number) }
    guard let number = Double(text), number.isFinite else { throw error("a number is too large") }
    return .number(number)
  }

  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = current, (0x30...0x39).contains(byte) { position += 1 }
    return position - start
  }

  private mutating func parseString() throws(FormatError) -> String {
    position += 1
    var result: [UInt8] = []
    while let byte = current {
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let text = String(validating: result, as: UTF8.self) else {
          throw error("a string is not UTF-8")
        }
        return text
      case UInt8(ascii: "\\"): try parseEscape(into: &result)
      case 0..<0x20: throw error("a control character in a string")
      default: result.append(byte)
      }
    }
    throw error("a string does not end")
  }

  private mutating func parseEscape(into result: inout [UInt8]) throws(FormatError) {
    guard let byte = current else { throw error("a string does not end") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0c)
    case UInt8(ascii: "n"): result.append(0x0a)
    case UInt8(ascii: "r"): result.append(0x0d)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "u"):
      var code = try parseHexadecimal()
      if (0xd800..<0xdc00).contains(code) {
        guard skip(UInt8(ascii: "\\")), skip(UInt8(ascii: "u")) else {
          throw error("half a surrogate pair")
        }
        let low = try parseHexadecimal()
        guard (0xdc00..<0xe000).contains(low) else { throw error("half a surrogate pair") }
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half a surrogate pair") }
      result.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    default: throw error("an unknown escape")
    }
  }

  private mutating func parseHexadecimal() throws(FormatError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Hex.nibble(byte) else {
        throw error("four hexadecimal digits are missing")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
