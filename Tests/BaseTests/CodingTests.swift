import Base
import Testing

@Suite("Codings of bytes as text")
struct CodingTests {
  @Test(
    "Base64 follows the vectors of RFC 4648 §10",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="),
      ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ])
  func base64Vectors(plain: String, coded: String) {
    #expect(Base64.encode(Array(plain.utf8)) == coded)
    #expect(Base64.decode(coded) == Array(plain.utf8))
  }

  @Test(
    "Base64 that is not canonical is refused",
    arguments: ["Zg=", "Zg", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm 9v", "Zm9_"])
  func base64Refusals(text: String) {
    #expect(Base64.decode(text) == nil)
  }

  @Test("the URL-safe form has its own two letters and no padding")
  func urlSafe() {
    #expect(Base64.encodeURLSafe([0xfb, 0xff]) == "-_8")
    #expect(Base64.decodeURLSafe("-_8") == [0xfb, 0xff])
    #expect(Base64.decodeURLSafe("+/8") == nil)
    #expect(Base64.decodeURLSafe("-_8=") == nil)
  }

  @Test("all byte runs up to 256 come back from each coding")
  func roundTrips() {
    for count in 0...256 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
      #expect(Base64.decodeURLSafe(Base64.encodeURLSafe(bytes)) == bytes)
      #expect(Hex.decode(Hex.encode(bytes)) == bytes)
      #expect(PercentCoding.decode(PercentCoding.encode(bytes)) == bytes)
    }
  }

  @Test("hexadecimal takes both cases and nothing else", arguments: ["0", "0g", "é1", " 1"])
  func hexRefusals(text: String) {
    #expect(Hex.decode("aBcD") == [0xab, 0xcd])
    #expect(Hex.decode(text) == nil)
  }

  @Test("percent-coding keeps unreserved bytes and, when asked, the slash")
  func percent() {
    #expect(PercentCoding.encode("a b/ü~") == "a%20b%2F%C3%BC~")
    #expect(PercentCoding.encode("a b/ü~", keepingSlash: true) == "a%20b/%C3%BC~")
    #expect(PercentCoding.decode("a+b".utf8) == Array("a+b".utf8))
    #expect(PercentCoding.decode("a+b".utf8, plusAsSpace: true) == Array("a b".utf8))
    for text in ["%", "%1", "%zz", "a%2"] { #expect(PercentCoding.decode(text.utf8) == nil) }
  }

  @Test("JSON strings escape quotes, backslashes and control characters")
  func json() {
    #expect(JSONText.quote("a\"\\\n\u{1}é") == "\"a\\\"\\\\\\n\\u0001é\"")
  }

  @Test("secrets compare by all their bytes")
  func constantTime() {
    #expect(ConstantTime.equals([1, 2, 3], [1, 2, 3]))
    #expect(!ConstantTime.equals([1, 2, 3], [1, 2, 4]))
    #expect(!ConstantTime.equals([1, 2, 3], [1, 2]))
    #expect(!ConstantTime.equals("a", "b"))
  }
}
