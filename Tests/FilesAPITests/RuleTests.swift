import Base
import Testing

@testable import FilesAPI

/// Names, ranges, dispositions, queries and the document.
struct RuleTests {
  @Test(
    "A path in front of a file name is dropped",
    arguments: [
      ("a.txt", "a.txt"), ("/etc/passwd", "passwd"), ("..\\..\\boot.ini", "boot.ini"),
      ("C:\\x\\y/z.bin", "z.bin"), ("a b\"c", "a b\"c"), ("日本.txt", "日本.txt"), ("...", "..."),
      ("x/" + String(repeating: "é", count: 127), String(repeating: "é", count: 127)),
    ])
  func goodNames(_ sent: String, _ kept: String) throws {
    #expect(try FileName.validated(sent) == kept)
  }

  @Test(
    "Names that mean something else, are too long or hold control characters are refused",
    arguments: [
      "", ".", "..", "a/", "a\\", "x/..", "a\0b", "a\nb", "a\r\nb", "\u{7f}", "\u{85}", "a\u{2028}",
      String(repeating: "é", count: 128),
    ])
  func badNames(_ sent: String) {
    #expect(throws: FormError.self) { try FileName.validated(sent) }
  }

  @Test(
    "A name in a header is ASCII, and nothing ends its quotes early",
    arguments: ["a.txt", "a\"b", "a\\", "ä€.txt", "a%22b", "x;y=z"])
  func disposition(_ name: String) throws {
    let value = ContentDisposition.attachment(name)
    #expect(value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
    let parsed = try FieldValue(Array(value.utf8)[...])
    #expect(parsed.kind == "attachment")
    #expect(parsed.parameters.map(\.name) == ["filename", "filename*"])
    #expect(parsed["filename*"] == Array("UTF-8''\(PercentCoding.encode(name))".utf8))
    #expect(parsed["filename"]?.contains(0x22) == false)
  }

  @Test(
    "A range is resolved as RFC 9110 says",
    arguments: [
      ("bytes=0-0", 10, 0..<1), ("bytes=2-5", 10, 2..<6), ("bytes=5-", 10, 5..<10),
      ("bytes=-3", 10, 7..<10), ("bytes=-30", 10, 0..<10), ("bytes=0-99", 10, 0..<10),
      ("bytes=9-9223372036854775807", 10, 9..<10),
      ("bytes=0-99999999999999999999999", 10, 0..<10),
    ] as [(String, Int64, Range<Int64>)])
  func ranges(_ text: String, _ size: Int64, _ expected: Range<Int64>) {
    #expect(ByteRange(Array(text.utf8)[...])?.resolve(size: size) == expected)
  }

  @Test(
    "A range outside the file has no bytes",
    arguments: ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-"])
  func unsatisfiable(_ text: String) throws {
    let range = try #require(ByteRange(Array(text.utf8)[...]))
    #expect(range.resolve(size: 10) == nil)
    #expect(range.resolve(size: 0) == nil)
  }

  @Test(
    "A range that cannot be read is ignored",
    arguments: [
      "", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=1-2,4-5", "items=0-1", "bytes=a-b",
      "bytes=+1-2", "bytes=1-2-3", "bytes= 1-2", "Bytes=0-1",
    ])
  func ignoredRanges(_ text: String) {
    #expect(ByteRange(Array(text.utf8)[...]) == nil)
  }

  @Test(
    "Queries are bounded and say each thing once",
    arguments: [
      "page=0", "page=-1", "page=x", "page=1.5", "page=%", "page=1&page=2",
      "page=1000000000000000000000", "page=%ff", "per_page=1001", "per_page=0",
    ])
  func badQueries(_ text: String) {
    #expect(throws: FilesError.self) {
      let query = try FilesQuery(Array(text.utf8)[...])
      _ = try query.number("page", in: 1...(1 << 40))
      _ = try query.number("per_page", in: 1...1000)
    }
  }
}
