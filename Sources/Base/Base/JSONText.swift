/// The spelling of JSON texts (RFC 8259).
public enum JSONText {
  private static let digits = Array("0123456789abcdef".utf8)

  /// A string in quotes with what must be escaped escaped.
  public static func quote(_ text: String) -> String {
    var result: [UInt8] = [0x22]
    result.reserveCapacity(text.utf8.count + 2)
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5c: result += [0x5c, byte]
      case 0x0a: result += [0x5c, 0x6e]
      case 0x0d: result += [0x5c, 0x72]
      case 0x09: result += [0x5c, 0x74]
      case 0..<0x20, 0x7f:
        result += Array("\\u00".utf8)
        result += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: result.append(byte)
      }
    }
    result.append(0x22)
    return String(decoding: result, as: UTF8.self)
  }
}
