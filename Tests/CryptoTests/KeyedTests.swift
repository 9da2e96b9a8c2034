import Base
import Crypto
import Testing

@Suite("HMAC and HKDF")
struct KeyedTests {
  static let hmacVectors: [(String, String, String)] = [
    // RFC 4231 §4.2, 4.3, 4.4, 4.7 and 4.8.
    (
      "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", Hex.encode("Hi There".utf8),
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    ),
    (
      Hex.encode("Jefe".utf8), Hex.encode("what do ya want for nothing?".utf8),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    ),
    (
      String(repeating: "aa", count: 20), String(repeating: "dd", count: 50),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
    ),
    (
      String(repeating: "aa", count: 131),
      Hex.encode("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    ),
    (
      String(repeating: "aa", count: 131),
      Hex.encode(
        ("This is a test using a larger than block-size key and a larger than block-size data. "
          + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
    ),
  ]

  @Test("HMAC-SHA256 of RFC 4231", arguments: hmacVectors)
  func hmac(_ key: String, _ message: String, _ expected: String) throws {
    let key = try #require(Hex.decode(key))
    let message = try #require(Hex.decode(message))
    #expect(Hex.encode(HMAC.sha256(key: key, message: message)) == expected)
  }

  static let hmacSHA1Vectors: [(String, String, String)] = [
    // RFC 2202 §3, cases 1, 2, 3, 6 and 7.
    (
      "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", Hex.encode("Hi There".utf8),
      "b617318655057264e28bc0b6fb378c8ef146be00"
    ),
    (
      Hex.encode("Jefe".utf8), Hex.encode("what do ya want for nothing?".utf8),
      "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    ),
    (
      String(repeating: "aa", count: 20), String(repeating: "dd", count: 50),
      "125d7342b9ac11cd91a39af48aa17b4f63f175d3"
    ),
    (
      String(repeating: "aa", count: 80),
      Hex.encode("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
      "aa4ae5e15272d00e95705637ce8a3b55ed402112"
    ),
    (
      String(repeating: "aa", count: 80),
      Hex.encode(
        "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data".utf8),
      "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"
    ),
  ]

  @Test("HMAC-SHA1 of RFC 2202", arguments: hmacSHA1Vectors)
  func hmacSHA1(_ key: String, _ message: String, _ expected: String) throws {
    let key = try #require(Hex.decode(key))
    let message = try #require(Hex.decode(message))
    #expect(Hex.encode(HMAC.sha1(key: key, message: message)) == expected)
  }

  @Test("an empty key and an empty message have a code, by both spellings")
  func hmacOfNothing() {
    let expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
    #expect(Hex.encode(HMAC.sha256(key: [], message: [])) == expected)
    #expect(Hex.encode(HMAC.sha256(key: [], message: "")) == expected)
  }

  static let hkdfVectors: [(String, String, String, String)] = [
    // RFC 5869 appendix A.1, A.2 and A.3.
    (
      String(repeating: "0b", count: 22), "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    ),
    (
      Hex.encode(0x00...0x4f), Hex.encode(0x60...0xaf), Hex.encode(0xb0...0xff),
      "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
        + "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
    ),
    (
      String(repeating: "0b", count: 22), "", "",
      "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    ),
  ]

  @Test("HKDF-SHA256 of RFC 5869", arguments: hkdfVectors)
  func hkdf(_ key: String, _ salt: String, _ info: String, _ expected: String) throws {
    let key = try #require(Hex.decode(key))
    let salt = try #require(Hex.decode(salt))
    let info = try #require(Hex.decode(info))
    let count = expected.utf8.count / 2
    for length in [0, 1, 31, 32, 33, count] where length <= count {
      let derived = HKDF.sha256(inputKey: key, salt: salt, info: info, count: length)
      #expect(Hex.encode(derived) == String(expected.prefix(2 * length)))
    }
  }

  @Test("HKDF yields up to 255 digests")
  func longest() {
    let derived = HKDF.sha256(inputKey: [1], salt: [2], info: "info", count: 8160)
    #expect(derived.count == 8160)
    #expect(
      Set(stride(from: 0, to: 8160, by: 32).map { Array(derived[$0..<$0 + 32]) }).count == 255)
  }
}
