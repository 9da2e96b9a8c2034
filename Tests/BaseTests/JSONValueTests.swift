import Base
import Testing

/// Reading and writing JSON.
struct JSONValueTests {
  @Test("A value written is the value read")
  func roundTrip() throws {
    let value: JSONValue = [
      "a": 1, "b": .number(-0.5), "c": "x\"\\\n\u{1}é😀", "d": [true, false, nil],
      "e": .object([]), "f": .integer(.min), "": .array([]),
    ]
    #expect(try JSONValue(parsing: Array(value.encoded.utf8)) == value)
  }

  @Test(
    "Texts of the grammar are read",
    arguments: [
      ("0", JSONValue.integer(0)), ("-0", .integer(0)), ("1e2", .number(100)),
      ("1.5E+1", .number(15)), (" [ 1 , 2 ] ", .array([.integer(1), .integer(2)])),
      ("\"\\u00e9\\ud83d\\ude00\\/\"", .string("é😀/")),
      ("{\"a\":null}", .object([.init("a", .null)])),
      ("9223372036854775808", .number(9_223_372_036_854_775_808)),
    ])
  func reads(_ text: String, _ expected: JSONValue) throws {
    #expect(try JSONValue(parsing: Array(text.utf8)) == expected)
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", " ", "nul", "tru", "+1", "01", "1.", ".5", "1e", "-", "0x1", "1e999", "\"a", "\"\\x\"",
      "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\u{1}\"", "[1,]", "[1 2]", "[",
      "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "{\"a\":1,\"a\":2}", "{\"a\":1", "1 2", "// x\n1",
      "NaN", "'a'", String(repeating: "[", count: 40) + String(repeating: "]", count: 40),
    ])
  func refuses(_ text: String) {
    #expect(throws: FormatError.self) { try JSONValue(parsing: Array(text.utf8)) }
  }

  @Test("Bytes that are not UTF-8 are refused")
  func refusesOtherEncodings() {
    #expect(throws: FormatError.self) { try JSONValue(parsing: [0x22, 0xff, 0x22]) }
    #expect(throws: FormatError.self) { try JSONValue(parsing: [0xff, 0xfe, 0x31, 0x00]) }
  }
}
