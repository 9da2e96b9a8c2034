/// Base64 with padding (RFC 4648 §4) and its URL-safe form without padding (§5).
public enum Base64 {
  private static let standard = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
  private static let urlSafe = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// The standard alphabet, padded to a multiple of four characters.
  public static func encode(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes, alphabet: standard, padded: true), as: UTF8.self)
  }

  /// The URL-safe alphabet without padding.
  public static func encodeURLSafe(_ bytes: [UInt8]) -> String {
    String(decoding: encode(bytes, alphabet: urlSafe, padded: false), as: UTF8.self)
  }

  /// Decodes the standard form; nil unless it is exactly what `encode` would make.
  public static func decode(_ text: String) -> [UInt8]? {
    let characters = Array(text.utf8)
    guard characters.count.isMultiple(of: 4) else { return nil }
    var body = characters[...]
    for _ in 0..<2 where body.last == 0x3d { body.removeLast() }
    return decode(body, alphabet: standard)
  }

  /// Decodes the URL-safe form without padding; nil unless it is what `encodeURLSafe` would make.
  public static func decodeURLSafe(_ text: String) -> [UInt8]? {
    decode(Array(text.utf8)[...], alphabet: urlSafe)
  }

  private static func encode(_ bytes: [UInt8], alphabet: [UInt8], padded: Bool) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      var group = UInt32(bytes[index]) << 16
      if left > 1 { group |= UInt32(bytes[index + 1]) << 8 }
      if left > 2 { group |= UInt32(bytes[index + 2]) }
      for position in 0..<4 {
        if position <= left {
          result.append(alphabet[Int(group >> UInt32(18 - 6 * position) & 63)])
        } else if padded {
          result.append(0x3d)
        }
      }
      index += 3
    }
    return result
  }

  private static func decode(_ body: ArraySlice<UInt8>, alphabet: [UInt8]) -> [UInt8]? {
    guard body.count % 4 != 1 else { return nil }
    var result: [UInt8] = []
    result.reserveCapacity(body.count * 3 / 4)
    var group: UInt32 = 0
    var bits: UInt32 = 0
    for character in body {
      guard let value = value(of: character, in: alphabet) else { return nil }
      group = group << 6 | value
      bits += 6
      if bits >= 8 {
        bits -= 8
        result.append(UInt8(truncatingIfNeeded: group >> bits))
        group &= (1 << bits) - 1
      }
    }
    // Bits that belong to no byte are zero in the one canonical spelling.
    return group == 0 ? result : nil
  }

  private static func value(of character: UInt8, in alphabet: [UInt8]) -> UInt32? {
    switch character {
    case 0x41...0x5a: UInt32(character - 0x41)
    case 0x61...0x7a: UInt32(character - 0x61) + 26
    case 0x30...0x39: UInt32(character - 0x30) + 52
    case alphabet[62]: 62
    case alphabet[63]: 63
    default: nil
    }
  }
}
