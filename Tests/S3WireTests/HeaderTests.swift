import Base
import Checksums
import S3Wire
import Testing

@Suite("Ranges")
struct RangeTests {
  @Test(
    "ranges resolve against the size",
    arguments: [
      ("bytes=0-9", 100, 0..<10), ("bytes=90-200", 100, 90..<100), ("bytes=5-", 100, 5..<100),
      ("bytes=-5", 100, 95..<100), ("bytes=-500", 100, 0..<100), ("bytes=99-99", 100, 99..<100),
      ("Bytes= 0 - 1", 100, 0..<2), ("bytes=0-99999999999999999999999", 10, 0..<10),
      ("bytes=-99999999999999999999999", 10, 0..<10),
      ("bytes=0-9223372036854775807", 10, 0..<10),
    ])
  func resolves(value: String, size: Int, range: Range<Int>) throws {
    #expect(try #require(HTTPRange(slice(value))).resolve(size: size) == range)
  }

  @Test(
    "unsatisfiable ranges are refused",
    arguments: [
      ("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0),
      ("bytes=-5", 0), ("bytes=99999999999999999999-", 5),
    ])
  func unsatisfiable(value: String, size: Int) throws {
    let range = try #require(HTTPRange(slice(value)))
    #expect(code { _ = try range.resolve(size: size) } == .invalidRange)
  }

  @Test(
    "what is no single range means the whole object",
    arguments: [
      "", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-1", "bytes=0-1,3-4", "items=0-1",
      "bytes=0x1-2", "bytes=1--2", "bytes=+1-2", "0-1", "bytes=1-2-3",
      "bytes=" + String(repeating: "1", count: 200) + "-",
    ])
  func ignored(value: String) {
    #expect(HTTPRange(slice(value)) == nil)
  }

  @Test("the range of a copied part has one form and lies in the source")
  func copySource() throws {
    #expect(try HTTPRange.copySource("bytes=0-9", size: 10) == 0..<10)
    for value in ["bytes=0-10", "bytes=0-", "bytes=-1", "0-9", "", "bytes=9-0"] {
      #expect(code { _ = try HTTPRange.copySource(value, size: 10) } == .invalidArgument)
    }
  }
}

@Suite("Conditions")
struct ConditionTests {
  static let modified = Timestamp(milliseconds: 1_000_000_500)
  static let same = Timestamp(seconds: 1_000_000).httpDate
  static let before = Timestamp(seconds: 999_999).httpDate

  static let cases: [(KeyValuePairs<String, String>, ReadConditions.Outcome)] = [
    ([:], .proceed),
    (["if-match": "\"e\""], .proceed),
    (["if-match": "e"], .proceed),
    (["if-match": "*"], .proceed),
    (["if-match": "\"x\", \"e\""], .proceed),
    (["if-match": "\"x\""], .preconditionFailed("If-Match")),
    (["if-match": "W/\"e\""], .preconditionFailed("If-Match")),
    (["if-none-match": "\"e\""], .notModified),
    (["if-none-match": "W/\"e\""], .notModified),
    (["if-none-match": "*"], .notModified),
    (["if-none-match": "\"x\""], .proceed),
    (["if-modified-since": same], .notModified),
    (["if-modified-since": before], .proceed),
    (["if-unmodified-since": same], .proceed),
    (["if-unmodified-since": before], .preconditionFailed("If-Unmodified-Since")),
    (["if-modified-since": "yesterday"], .proceed),
    (["if-match": "\"e\"", "if-unmodified-since": before], .proceed),
    (["if-none-match": "\"x\"", "if-modified-since": same], .proceed),
    (["if-match": "\"e\"", "if-none-match": "\"e\""], .notModified),
    (["if-match": "\"x\"", "if-none-match": "\"e\""], .preconditionFailed("If-Match")),
    (["if-match": "\"x\"", "if-match": "\"e\""], .proceed),
  ]

  @Test("reads follow the precedence of RFC 9110", arguments: cases.indices)
  func reads(index: Int) {
    let (headers, outcome) = Self.cases[index]
    let conditions = ReadConditions(RequestHeaders(headers))
    #expect(conditions.evaluate(etag: "e", lastModified: Self.modified) == outcome)
  }

  @Test("on the source of a copy every failure is a failed precondition")
  func copySource() {
    let headers = RequestHeaders(["x-amz-copy-source-if-none-match": "\"e\"", "if-match": "\"y\""])
    let conditions = ReadConditions(copySource: headers)
    #expect(
      code { try conditions.checkCopySource(etag: "e", lastModified: Self.modified) }
        == .preconditionFailed)
    #expect(
      code { try conditions.checkCopySource(etag: "x", lastModified: Self.modified) } == nil)
  }

  @Test("writes know If-None-Match with a star and If-Match with one tag")
  func writes() throws {
    let absent = try WriteConditions(RequestHeaders(["If-None-Match": "*"]))
    #expect(code { try absent.check(currentETag: nil) } == nil)
    #expect(code { try absent.check(currentETag: "e") } == .preconditionFailed)
    let match = try WriteConditions(RequestHeaders(["If-Match": "\"e\""]))
    #expect(match == .matches("e"))
    #expect(code { try match.check(currentETag: "e") } == nil)
    #expect(code { try match.check(currentETag: "f") } == .preconditionFailed)
    #expect(code { try match.check(currentETag: nil) } == .noSuchKey)
    let present = try WriteConditions(RequestHeaders(["If-Match": "*"]))
    #expect(code { try present.check(currentETag: nil) } == .noSuchKey)
    let refused: [KeyValuePairs<String, String>] = [
      ["if-none-match": "\"e\""], ["if-match": "a, b"], ["if-match": "*", "if-none-match": "*"],
      ["if-match": "W/\"e\""], ["if-match": ""],
    ]
    for headers in refused {
      #expect(code { _ = try WriteConditions(RequestHeaders(headers)) } == .notImplemented)
    }
  }
}

@Suite("Copy sources")
struct CopySourceTests {
  @Test(
    "forms that clients send",
    arguments: [
      ("bkt/key", "key", String?.none), ("/bkt/key", "key", nil),
      ("bkt/a%20b%2Bc+d", "a b+c+d", nil), ("bkt%2Fa%2Fb", "a/b", nil), ("bkt/é", "é", nil),
      ("bkt/k?versionId=abc", "k", "abc"), ("bkt/k%3FversionId=abc", "k?versionId=abc", nil),
      ("bkt/k?x", "k?x", nil), ("bkt//k", "/k", nil), ("bkt/..%2f..%2fetc", "../../etc", nil),
    ])
  func valid(value: String, key: String, version: String?) throws {
    let source = try CopySource(slice(value))
    #expect(source.bucket.text == "bkt")
    #expect(source.key.bytes == bytes(key))
    #expect(source.versionID == version)
  }

  @Test(
    "the others are refused",
    arguments: [
      ("", S3Error.Code.invalidArgument), ("/", .invalidArgument), ("bkt", .invalidArgument),
      ("bkt/", .invalidArgument), ("/bkt/", .invalidArgument), ("//key", .invalidArgument),
      ("bkt/%", .invalidArgument), ("bkt/k?versionId=", .invalidArgument),
      ("bkt/k?versionId=a%0ab", .invalidArgument), ("../key", .invalidBucketName),
      ("BKT/key", .invalidBucketName), ("bkt/%ff", .invalidURI),
      ("bkt/" + String(repeating: "a", count: 1025), .keyTooLongError),
    ])
  func invalidClass24(value: String, expected: S3Error.Code) {
    #expect(code { _ = try CopySource(slice(value)) } == expected)
  }
}

@Suite("Object headers")
struct ObjectHeaderTests {
  @Test("content headers, metadata, storage class and tags are read")
  func reads() throws {
    let headers = try ObjectHeaders(
      RequestHeaders([
        "Content-Type": "text/plain", "Content-Encoding": "aws-chunked, gzip",
        "X-Amz-Meta-Two": "2", "x-amz-meta-one": "é", "x-amz-meta-ONE": "b",
        "x-amz-storage-class": "STANDARD_IA", "x-amz-tagging": "a=1&b%20c=d+e&f",
        "x-amz-meta-": "nameless", "authorization": "secret",
      ]))
    #expect(
      headers.content == [
        NamedValue(name: "content-type", value: "text/plain"),
        NamedValue(name: "content-encoding", value: "gzip"),
      ])
    #expect(
      headers.metadata == [
        NamedValue(name: "one", value: "é,b"), NamedValue(name: "two", value: "2"),
      ])
    #expect(headers.storageClass == "STANDARD_IA")
    #expect(headers.tags.map(\.name) == ["a", "b c", "f"])
    #expect(headers.tags.map(\.value) == ["1", "d e", ""])
  }

  @Test(
    "aws-chunked is framing and never kept",
    arguments: [
      ("aws-chunked", String?.none), ("AWS-Chunked , gzip", "gzip"), ("gzip,aws-chunked", "gzip"),
      ("gzip", "gzip"), ("br,gzip", "br, gzip"), ("", nil),
    ])
  func contentEncoding(value: String, kept: String?) throws {
    let headers = try ObjectHeaders(RequestHeaders(["content-encoding": value]))
    #expect(headers.content.first?.value == kept)
  }

  @Test("metadata has a bound, storage classes and tags have rules")
  func bounds() throws {
    let exact = String(repeating: "x", count: 2047)
    #expect(code { _ = try ObjectHeaders(RequestHeaders(["x-amz-meta-a": exact])) } == nil)
    #expect(
      code { _ = try ObjectHeaders(RequestHeaders(["x-amz-meta-ab": exact])) } == .metadataTooLarge)
    #expect(
      code { _ = try ObjectHeaders(RequestHeaders(["x-amz-storage-class": "GOLD"])) }
        == .invalidStorageClass)
    for (value, expected) in [
      ("a=1&a=2", S3Error.Code.invalidTag), ("=1", .invalidTag), ("a=%f", .invalidTag),
      ("a=%00", .invalidTag), (String(repeating: "k", count: 129) + "=", .invalidTag),
      ("k=" + String(repeating: "v", count: 257), .invalidTag),
      ((0..<11).map { "k\($0)=v" }.joined(separator: "&"), .badRequest),
    ] {
      #expect(code { _ = try ObjectHeaders(RequestHeaders(["x-amz-tagging": value])) } == expected)
    }
  }

  @Test("Latin-1 values are kept as text")
  func latin1() throws {
    let field = RequestHeaders.Field(name: slice("x-amz-meta-a"), value: [0x63, 0xe9][...])
    #expect(try ObjectHeaders(RequestHeaders([field])).metadata.first?.value == "cé")
  }

  @Test(
    "no header of an answer can be split by what a client chose",
    arguments: ["a%0d%0aSet-Cookie:x", "a%0ab", "%00", "%7f", "%0d"])
  func responseSplittingClass25(value: String) throws {
    let query = try RequestQuery(slice("response-content-disposition=\(value)"))
    #expect(code { _ = try ResponseOverrides.parse(query) } == .invalidArgument)
    let field = RequestHeaders.Field(
      name: slice("x-amz-meta-a"), value: (PercentCoding.decode(value.utf8) ?? [])[...])
    #expect(code { _ = try ObjectHeaders(RequestHeaders([field])) } == .invalidArgument)
  }

  @Test("headers that a presigned URL carries are read, checksums and authentication are not")
  func presigned() throws {
    let query = try RequestQuery(
      slice(
        "X-Amz-Acl=private&x-amz-meta-a=b%20c&x-amz-storage-class=GLACIER&X-Amz-Signature=0"
          + "&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&prefix=p"
          + "&X-Amz-Date=1"))
    let headers = RequestHeaders(["x-amz-storage-class": "STANDARD"]).adding(presigned: query)
    #expect(headers.text("x-amz-acl") == "private")
    #expect(headers.text("x-amz-storage-class") == "STANDARD")
    #expect(try ObjectHeaders(headers).metadata == [NamedValue(name: "a", value: "b c")])
    #expect(headers.fields.count == 3)
    #expect(try ChecksumHeaders(headers).algorithm == nil)
  }

  @Test("content fields of a presigned URL are read only where its signature covers them")
  func presignedContentFields() throws {
    let query = try RequestQuery(slice("content-type=%20a/b%20&Content-MD5=x&content-length=3"))
    #expect(RequestHeaders([:]).adding(presigned: query).fields.isEmpty)
    let headers = RequestHeaders(["content-md5": "y"])
      .adding(presigned: query, includingContentFields: true)
    #expect(headers.text("content-type") == "a/b")
    #expect(headers.text("content-md5") == "y")
    #expect(headers.fields.count == 2)
  }

  @Test("response overrides are read")
  func overrides() throws {
    let query = try RequestQuery(
      slice("response-content-disposition=attachment%3B%20filename%3D%22a%22&response-expires=0&x"))
    #expect(
      try ResponseOverrides.parse(query) == [
        NamedValue(name: "content-disposition", value: "attachment; filename=\"a\""),
        NamedValue(name: "expires", value: "0"),
      ])
  }
}

@Suite("Checksum headers")
struct ChecksumHeaderTests {
  @Test("a declared checksum, a trailer or a requested algorithm is read")
  func reads() throws {
    let declared = try ChecksumHeaders(
      RequestHeaders([
        "x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "CRC32",
        "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==",
      ]))
    #expect(declared.declared?.bytes == [0, 0, 0, 0])
    #expect(declared.algorithm == .crc32)
    #expect(declared.contentMD5?.count == 16)
    let trailer = try ChecksumHeaders(
      RequestHeaders([
        "x-amz-trailer": "X-Amz-Checksum-CRC64NVME", "x-amz-sdk-checksum-algorithm": "CRC64NVME",
      ]))
    #expect(trailer.trailerAlgorithm == .crc64nvme)
    #expect(trailer.announcedTrailers == ["x-amz-checksum-crc64nvme"])
    let upload = try ChecksumHeaders(
      RequestHeaders([
        "x-amz-checksum-algorithm": "sha256", "x-amz-checksum-type": "COMPOSITE",
        "x-amz-checksum-mode": "enabled",
      ]))
    #expect(upload.algorithm == .sha256)
    #expect(upload.type == .composite)
    #expect(ChecksumHeaders.isRequested(RequestHeaders(["x-amz-checksum-mode": "ENABLED"])))
    #expect(try ChecksumHeaders(RequestHeaders([:])).algorithm == nil)
    let complete = try ChecksumHeaders(
      RequestHeaders(["x-amz-checksum-crc32": "AAAAAA==-3"]), isComplete: true)
    #expect(complete.declared?.partCount == 3)
  }

  static let refused: [(KeyValuePairs<String, String>, S3Error.Code)] = [
    (["x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "x"], .invalidRequest),
    (["x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-crc32": "AAAAAA=="], .invalidRequest),
    (["x-amz-checksum-crc32": "AAAA"], .invalidRequest),
    (["x-amz-checksum-crc32": ""], .invalidRequest),
    (["x-amz-checksum-crc32": "AAAAAA==-3"], .invalidRequest),
    (["x-amz-checksum-blake3": "AAAA"], .invalidRequest),
    (["x-amz-sdk-checksum-algorithm": "CRC32"], .invalidRequest),
    (["x-amz-sdk-checksum-algorithm": "MD4"], .invalidRequest),
    (
      ["x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "AAAAAA=="],
      .invalidRequest
    ),
    (["x-amz-checksum-type": "HALF"], .invalidRequest),
    (["x-amz-trailer": "x-amz-meta-a"], .invalidRequest),
    (["x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1"], .invalidRequest),
    (
      ["x-amz-trailer": "x-amz-checksum-crc32", "x-amz-checksum-crc32": "AAAAAA=="], .invalidRequest
    ),
    (["content-md5": "1B2M2Y8AsgTpgAmY7PhCf"], .invalidDigest),
    (["content-md5": "not base64 at all 123456"], .invalidDigest),
  ]

  @Test("what contradicts itself is refused", arguments: refused.indices)
  func refusals(index: Int) {
    let (headers, expected) = Self.refused[index]
    #expect(code { _ = try ChecksumHeaders(RequestHeaders(headers)) } == expected)
  }

  @Test("the decoded length is a length")
  func decodedLength() throws {
    func length(_ value: String) throws -> Int? {
      try ChecksumHeaders.decodedContentLength(
        RequestHeaders(["x-amz-decoded-content-length": value]))
    }
    #expect(try length("66560") == 66_560)
    #expect(try ChecksumHeaders.decodedContentLength(RequestHeaders([:])) == nil)
    for value in ["", "-1", "+1", "1e3", "0x10", "9999999999999999999", " 1"] {
      #expect(code { _ = try length(value) } == .invalidArgument)
    }
  }
}
