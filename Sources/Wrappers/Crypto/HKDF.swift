/// Derivation of keys from a secret (RFC 5869).
public enum HKDF {
  /// HKDF-SHA256: `count` bytes, at most 8160.
  ///
  /// Precondition: `count` is from 0 to 8160 (255 digests).
  public static func sha256(
    inputKey: [UInt8], salt: [UInt8], info: [UInt8], count: Int
  ) -> [UInt8] {
    precondition(count >= 0 && count <= 255 * 32, "HKDF-SHA256 yields at most 8160 bytes")
    var pseudorandomKey = HMAC.sha256(key: salt, message: inputKey)
    defer { SecretBytes.wipe(&pseudorandomKey) }
    var result: [UInt8] = []
    result.reserveCapacity(count)
    var block: [UInt8] = []
    var counter: UInt8 = 0
    while result.count < count {
      counter += 1
      block = HMAC.sha256(key: pseudorandomKey, message: block + info + [counter])
      result.append(contentsOf: block.prefix(count - result.count))
    }
    SecretBytes.wipe(&block)
    return result
  }

  /// HKDF-SHA256 with the information as a string: `count` bytes, at most 8160.
  ///
  /// Precondition: `count` is from 0 to 8160 (255 digests).
  public static func sha256(
    inputKey: [UInt8], salt: [UInt8], info: StaticString, count: Int
  ) -> [UInt8] {
    sha256(inputKey: inputKey, salt: salt, info: Array("\(info)".utf8), count: count)
  }
}
