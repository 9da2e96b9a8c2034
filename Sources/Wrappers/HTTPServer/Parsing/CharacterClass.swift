/// The character classes of RFC 9110 §5.6 and RFC 9112 §3.2.
///
/// Classes of scattered characters are two 64-bit sets in the code itself: no table is loaded.
enum CharacterClass {
  /// `tchar`: methods and field names.
  @inline(__always)
  static func isToken(_ byte: UInt8) -> Bool {
    contains(byte, low: 0x03ff_6cfa_0000_0000, high: 0x57ff_ffff_c7ff_fffe)
  }

  /// Letters, digits and what else a host with a port may hold; the comma of RFC 3986 is left out,
  /// because a list of hosts is an attack.
  @inline(__always)
  static func isHost(_ byte: UInt8) -> Bool {
    contains(byte, low: 0x2fff_6ff2_0000_0000, high: 0x47ff_fffe_afff_fffe)
  }

  /// What a field value may hold: tab, blank, visible characters and bytes above 127.
  @inline(__always)
  static func isFieldValue(_ byte: UInt8) -> Bool {
    (byte >= 0x20 && byte != 0x7f) || byte == 0x09
  }

  /// What a target may hold: any byte but controls and the blank that ends it.
  @inline(__always)
  static func isTarget(_ byte: UInt8) -> Bool { byte > 0x20 && byte != 0x7f }

  /// Blank or tab.
  @inline(__always)
  static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

  /// ASCII letters in lower case, other bytes unchanged.
  @inline(__always)
  static func lowercased(_ byte: UInt8) -> UInt8 {
    byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
  }

  /// The value of a hexadecimal digit; nil for other bytes.
  @inline(__always)
  static func hexDigit(_ byte: UInt8) -> UInt8? {
    if byte >= 0x30 && byte <= 0x39 { return byte - 0x30 }
    let letter = byte | 0x20
    return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : nil
  }

  @inline(__always)
  private static func contains(_ byte: UInt8, low: UInt64, high: UInt64) -> Bool {
    let set = byte < 64 ? low : high
    return byte < 128 && (set >> UInt64(byte & 63)) & 1 != 0
  }
}
