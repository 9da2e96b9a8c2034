/// Percent-encoding (RFC 3986 §2.1) on bytes.
public enum PercentCoding {
  @usableFromInline static let upperDigits = Array("0123456789ABCDEF".utf8)

  /// Whether a byte is unreserved (RFC 3986 §2.3): letters, digits, `-`, `.`, `_`, `~`.
  @inlinable
  public static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f, 0x7e: true
    default: false
    }
  }

  /// Encodes every byte but the unreserved ones and those in `keeping`, with upper-case digits.
  @inlinable
  public static func encode(_ bytes: some Sequence<UInt8>, keeping: UInt8? = nil) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.underestimatedCount)
    for byte in bytes {
      if isUnreserved(byte) || byte == keeping {
        result.append(byte)
      } else {
        result.append(0x25)
        result.append(upperDigits[Int(byte >> 4)])
        result.append(upperDigits[Int(byte & 15)])
      }
    }
    return result
  }

  /// Encodes a string's UTF-8; `/` stays as it is when `keepingSlash`.
  public static func encode(_ text: String, keepingSlash: Bool = false) -> String {
    String(decoding: encode(text.utf8, keeping: keepingSlash ? 0x2f : nil), as: UTF8.self)
  }

  /// Decodes `%XX`; nil when a `%` is not followed by two digits. `+` becomes a space only when
  /// `plusAsSpace` (the query form of HTML, which S3 clients use too).
  @inlinable
  public static func decode(_ bytes: some Sequence<UInt8>, plusAsSpace: Bool = false) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.underestimatedCount)
    var iterator = bytes.makeIterator()
    while let byte = iterator.next() {
      if byte == 0x25 {
        guard let first = iterator.next(), let high = Hex.nibble(first),
          let second = iterator.next(), let low = Hex.nibble(second)
        else { return nil }
        result.append(high << 4 | low)
      } else {
        result.append(byte == 0x2b && plusAsSpace ? 0x20 : byte)
      }
    }
    return result
  }
}
