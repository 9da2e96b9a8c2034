internal import Base

/// The canonical form of a query: every name and value decoded and encoded again in the one way that
/// SigV4 defines, then sorted.
struct CanonicalQuery {
  /// The most parameters that are looked at.
  static let maximumCount = 128

  struct Parameter {
    /// Encoded name and value as ranges of `bytes`.
    var name: Range<Int>
    var value: Range<Int>
  }

  private(set) var bytes: [UInt8] = []
  private(set) var parameters: [Parameter] = []

  init(_ raw: ArraySlice<UInt8>) throws(SigningError) {
    guard !raw.isEmpty else { return }
    bytes.reserveCapacity(raw.count * 2)
    var start = raw.startIndex
    while start < raw.endIndex {
      let end = raw[start...].firstIndex(of: UInt8(ascii: "&")) ?? raw.endIndex
      if start < end {
        guard parameters.count < Self.maximumCount else { throw Self.invalid }
        try append(raw[start..<end])
      }
      start = end + 1
    }
  }

  /// The decoded value of the first parameter of this name, which is made of unreserved bytes.
  func value(_ name: String) -> ArraySlice<UInt8>? {
    guard let parameter = parameters.first(where: { hasName($0, name.utf8) }) else { return nil }
    return CanonicalEncoding.decode(bytes[parameter.value])
  }

  private func hasName(_ parameter: Parameter, _ name: String.UTF8View) -> Bool {
    guard parameter.name.count == name.count else { return false }
    var index = parameter.name.lowerBound
    for byte in name {
      if bytes[index] != byte { return false }
      index += 1
    }
    return true
  }

  /// How many parameters have this name in any letter case; `name` is in lower case.
  func count(of name: String) -> Int {
    parameters.count { UnverifiedRequest.matches(bytes[$0.name], name.utf8) }
  }

  /// Appends the canonical query without the parameter that holds the signature.
  func write(to output: inout [UInt8], excluding excluded: String?) {
    var sorted = parameters
    if let excluded { sorted.removeAll { hasName($0, excluded.utf8) } }
    sorted.sort { left, right in
      let order = compare(left.name, right.name)
      return order == 0 ? compare(left.value, right.value) < 0 : order < 0
    }
    for (index, parameter) in sorted.enumerated() {
      if index > 0 { output.append(UInt8(ascii: "&")) }
      output.append(contentsOf: bytes[parameter.name])
      output.append(UInt8(ascii: "="))
      output.append(contentsOf: bytes[parameter.value])
    }
  }

  private mutating func append(_ piece: ArraySlice<UInt8>) throws(SigningError) {
    let equals = piece.firstIndex(of: UInt8(ascii: "=")) ?? piece.endIndex
    let nameStart = bytes.count
    guard
      CanonicalEncoding.reencode(
        piece[..<equals], keepingSlash: false, plusAsSpace: true, to: &bytes)
    else { throw Self.invalid }
    let nameEnd = bytes.count
    if equals < piece.endIndex {
      guard
        CanonicalEncoding.reencode(
          piece[(equals + 1)...], keepingSlash: false, plusAsSpace: true, to: &bytes)
      else { throw Self.invalid }
    }
    parameters.append(Parameter(name: nameStart..<nameEnd, value: nameEnd..<bytes.count))
  }

  private func compare(_ left: Range<Int>, _ right: Range<Int>) -> Int {
    let common = min(left.count, right.count)
    for offset in 0..<common {
      let a = bytes[left.lowerBound + offset]
      let b = bytes[right.lowerBound + offset]
      if a != b { return a < b ? -1 : 1 }
    }
    return left.count - right.count
  }

  private static let invalid = SigningError(.invalidURI, "Couldn't parse the specified URI.")
}

/// Decoding once and encoding again, byte by byte.
enum CanonicalEncoding {
  /// Appends `raw` in canonical encoding; false when a `%` is not followed by two digits.
  static func reencode(
    _ raw: ArraySlice<UInt8>, keepingSlash: Bool, plusAsSpace: Bool, to output: inout [UInt8]
  ) -> Bool {
    var index = raw.startIndex
    var run = index
    while index < raw.endIndex {
      var byte = raw[index]
      if isKept(byte, keepingSlash) {
        index += 1
        continue
      }
      // Bytes that stand for themselves are taken over together.
      output.append(contentsOf: raw[run..<index])
      index += 1
      if byte == UInt8(ascii: "%") {
        guard index + 1 < raw.endIndex, let high = Hex.nibble(raw[index]),
          let low = Hex.nibble(raw[index + 1])
        else { return false }
        byte = high << 4 | low
        index += 2
      } else if byte == UInt8(ascii: "+") && plusAsSpace {
        byte = 0x20
      }
      append(byte, keepingSlash: keepingSlash, to: &output)
      run = index
    }
    output.append(contentsOf: raw[run...])
    return true
  }

  @inline(__always)
  private static func isKept(_ byte: UInt8, _ keepingSlash: Bool) -> Bool {
    PercentCoding.isUnreserved(byte) || (keepingSlash && byte == UInt8(ascii: "/"))
  }

  /// What canonically encoded bytes stand for; nil when a `%` is not followed by two digits.
  static func decode(_ encoded: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard encoded.contains(UInt8(ascii: "%")) else { return encoded }
    var output: [UInt8] = []
    output.reserveCapacity(encoded.count)
    var index = encoded.startIndex
    while index < encoded.endIndex {
      let byte = encoded[index]
      index += 1
      guard byte == UInt8(ascii: "%") else {
        output.append(byte)
        continue
      }
      guard index + 1 < encoded.endIndex, let high = Hex.nibble(encoded[index]),
        let low = Hex.nibble(encoded[index + 1])
      else { return nil }
      output.append(high << 4 | low)
      index += 2
    }
    return output[...]
  }

  /// The 32 bytes that 64 hexadecimal digits spell; nil for anything else.
  static func digest(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    guard text.count == 64 else { return nil }
    var output: [UInt8] = []
    output.reserveCapacity(32)
    var index = text.startIndex
    while index < text.endIndex {
      guard let high = Hex.nibble(text[index]), let low = Hex.nibble(text[index + 1]) else {
        return nil
      }
      output.append(high << 4 | low)
      index += 2
    }
    return output
  }

  /// Appends bytes as lower-case hexadecimal digits.
  static func appendHex(_ bytes: [UInt8], to output: inout [UInt8]) {
    output.reserveCapacity(output.count + 2 * bytes.count)
    for byte in bytes {
      output.append(lowerDigit(byte >> 4))
      output.append(lowerDigit(byte & 15))
    }
  }

  @inline(__always)
  private static func lowerDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x61 + value - 10
  }

  @inline(__always)
  private static func append(_ byte: UInt8, keepingSlash: Bool, to output: inout [UInt8]) {
    if isKept(byte, keepingSlash) {
      output.append(byte)
    } else {
      output.append(UInt8(ascii: "%"))
      output.append(digit(byte >> 4))
      output.append(digit(byte & 15))
    }
  }

  @inline(__always)
  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x41 + value - 10
  }
}
