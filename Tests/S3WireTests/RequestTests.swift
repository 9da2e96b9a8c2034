import Base
import Checksums
import Runtime
import S3Wire
import Testing

private func query(_ text: String) throws -> RequestQuery { try RequestQuery(slice(text)) }

@Suite("Parameters of lists")
struct ParameterTests {
  @Test(
    "page sizes are 0 to 1000",
    arguments: [
      ("", Int?.some(1000)), ("max-keys=", 1000), ("max-keys=0", 0), ("max-keys=7", 7),
      ("max-keys=1000", 1000), ("max-keys=5000", 1000), ("max-keys=2147483647", 1000),
      ("max-keys=2147483648", nil), ("max-keys=-1", nil), ("max-keys=a", nil),
      ("max-keys=99999999999999999999", nil), ("max-keys=%2B1", nil), ("max-keys=1.5", nil),
    ])
  func pageSize(text: String, size: Int?) throws {
    guard let size else {
      #expect(
        code { _ = try Parameters.pageSize(query(text), "max-keys") } == .invalidArgument)
      return
    }
    #expect(try Parameters.pageSize(query(text), "max-keys") == size)
  }

  @Test("part numbers are 1 to 10,000")
  func partNumber() throws {
    #expect(try Parameters.partNumber(query("partNumber=10000")) == 10_000)
    #expect(try Parameters.partNumber(query("x")) == nil)
    for value in ["0", "10001", "-1", "a", "", "1e1", "99999999999999999999"] {
      #expect(
        code { _ = try Parameters.partNumber(query("partNumber=\(value)")) } == .invalidArgument)
    }
    #expect(try Parameters.partNumberMarker("5") == 5)
    #expect(try Parameters.partNumberMarker(nil) == 0)
    #expect(code { _ = try Parameters.partNumberMarker("-5") } == .invalidArgument)
  }

  @Test("lists read their parameters")
  func lists() throws {
    let first = try ListObjectsRequest(
      query("prefix=a%2F&delimiter=/&marker=b&max-keys=3&encoding-type=url"), isVersion2: false)
    #expect(first.prefix == bytes("a/"))
    #expect(first.after == bytes("b"))
    #expect(first.showsOwner)
    #expect(first.isURLEncoded)
    let token = ContinuationToken(after: bytes("zé\u{0}"))
    let second = try ListObjectsRequest(
      query("list-type=2&start-after=c&fetch-owner=true&continuation-token=\(token.text)"),
      isVersion2: true)
    #expect(second.after == bytes("zé\u{0}"))
    #expect(second.startAfter == bytes("c"))
    #expect(second.showsOwner)
    #expect(try ListObjectsRequest(query("start-after=c"), isVersion2: true).after == bytes("c"))
    for text in [
      "encoding-type=xml", "prefix=%ff", "continuation-token=abc", "continuation-token=",
      "continuation-token=%20",
    ] {
      #expect(
        code { _ = try ListObjectsRequest(query(text), isVersion2: true) } == .invalidArgument)
    }
    let long = "prefix=" + String(repeating: "a", count: 1025)
    #expect(
      code { _ = try ListObjectsRequest(query(long), isVersion2: false) } == .keyTooLongError)
    let uploads = try ListUploadsRequest(query("upload-id-marker=u"))
    #expect(uploads.uploadIDMarker == "")
    #expect(try ListUploadsRequest(query("key-marker=k&upload-id-marker=u")).uploadIDMarker == "u")
  }

  @Test("tokens come back as they were made, and no other is taken", arguments: 0..<4)
  func tokens(seed: UInt64) throws {
    print("Token seed \(seed)")
    var random = SeededRandom(seed: seed)
    for _ in 0..<300 {
      let key = (0..<Int.random(in: 1...1024, using: &random)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      let token = ContinuationToken(after: key)
      #expect(try ContinuationToken(token.text).after == key)
      let wrong = String(decoding: mutate(token.text, &random), as: UTF8.self)
      if let other = try? ContinuationToken(wrong) { #expect(other.text == wrong) }
    }
    #expect(
      code { _ = try ContinuationToken(String(repeating: "A", count: 5000)) } == .invalidArgument)
  }

  @Test("attributes asked for")
  func attributes() throws {
    let request = try ObjectAttributesRequest(
      RequestHeaders([
        "x-amz-object-attributes": "ETag, ObjectParts", "x-amz-object-attributes": "ObjectSize",
        "x-amz-max-parts": "5", "x-amz-part-number-marker": "2",
      ]))
    #expect(request.attributes == [.etag, .parts, .size])
    #expect(request.pageSize == 5)
    #expect(request.marker == 2)
    #expect(code { _ = try ObjectAttributesRequest(RequestHeaders([:])) } == .invalidRequest)
    #expect(
      code {
        _ = try ObjectAttributesRequest(RequestHeaders(["x-amz-object-attributes": "ETag,Secret"]))
      } == .invalidArgument)
  }
}

@Suite("Request bodies")
struct BodyTests {
  @Test("DeleteObjects is read")
  func delete() throws {
    let body = try DeleteObjectsBody(
      bytes(
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>
        <Object><Key> a &amp; ../b </Key><VersionId>v</VersionId></Object>
        <Object><Key></Key><ETag>"e"</ETag><Size>5</Size></Object></Delete>
        """))
    #expect(body.isQuiet)
    #expect(body.entries.count == 2)
    #expect(try body.entries[0].key().bytes == bytes(" a & ../b "))
    #expect(body.entries[0].versionID == "v")
    #expect(body.entries[1].etag == "e")
    #expect(body.entries[1].size == 5)
    #expect(code { _ = try body.entries[1].key() } == .userKeyMustBeSpecified)
  }

  @Test("DeleteObjects has at most 1000 objects and no key is passed over")
  func deleteBoundsClass23() throws {
    func body(_ count: Int) -> [UInt8] {
      bytes(
        "<Delete>" + String(repeating: "<Object><Key>k</Key></Object>", count: count) + "</Delete>")
    }
    #expect(try DeleteObjectsBody(body(1000)).entries.count == 1000)
    #expect(code { _ = try DeleteObjectsBody(body(1001)) } == .malformedXML)
    #expect(code { _ = try DeleteObjectsBody(body(0)) } == .malformedXML)
    let long = String(repeating: "k", count: 1025)
    let entry = try DeleteObjectsBody(bytes("<Delete><Object><Key>\(long)</Key></Object></Delete>"))
    #expect(code { _ = try entry.entries[0].key() } == .keyTooLongError)
  }

  @Test(
    "malformed bodies of DeleteObjects are refused",
    arguments: [
      "", "x", "<Delete>", "<Delet><Object><Key>k</Key></Object></Delet>",
      "<Delete><Object></Object></Delete>",
      "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
      "<Delete><Object><Key>a</Key><IfMatch>e</IfMatch></Object></Delete>",
      "<Delete><Thing/><Object><Key>a</Key></Object></Delete>",
      "<Delete><Object><Key>a</Key></Object><Quiet>maybe</Quiet></Delete>",
      "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Delete><Object><Key>&x;</Key></Object></Delete>",
      "<Delete><Object><Key>a</Key><Size>-1</Size></Object></Delete>",
    ])
  func deleteMalformedClass23(text: String) {
    #expect(code { _ = try DeleteObjectsBody(bytes(text)) } == .malformedXML)
  }

  @Test("CompleteMultipartUpload is read")
  func complete() throws {
    let body = try CompleteMultipartUploadBody(
      bytes(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>"
          + "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part><Part><ETag>b</ETag>"
          + "<PartNumber>10000</PartNumber></Part></CompleteMultipartUpload>"))
    #expect(body.parts.map(\.number) == [1, 10_000])
    #expect(body.parts.map(\.etag) == ["a", "b"])
    #expect(body.parts[0].checksum?.algorithm == .crc32)
  }

  private static func complete(_ numbers: [Int]) -> [UInt8] {
    bytes(
      "<CompleteMultipartUpload>"
        + numbers.map { "<Part><PartNumber>\($0)</PartNumber><ETag>e</ETag></Part>" }.joined()
        + "</CompleteMultipartUpload>")
  }

  @Test("parts come in ascending order, each once, at most 10,000")
  func completeBounds() throws {
    #expect(try CompleteMultipartUploadBody(Self.complete(Array(1...10_000))).parts.count == 10_000)
    for numbers in [[2, 1], [1, 1], [1, 3, 2]] {
      #expect(
        code { _ = try CompleteMultipartUploadBody(Self.complete(numbers)) } == .invalidPartOrder)
    }
    #expect(code { _ = try CompleteMultipartUploadBody(Self.complete([0])) } == .invalidArgument)
    #expect(
      code { _ = try CompleteMultipartUploadBody(Self.complete([10_001])) } == .invalidArgument)
    #expect(code { _ = try CompleteMultipartUploadBody(Self.complete([])) } == .malformedXML)
    #expect(code { _ = try CompleteMultipartUploadBody(Self.complete([-1])) } == .malformedXML)
  }

  @Test(
    "malformed parts are refused",
    arguments: [
      ("<ETag>e</ETag>", S3Error.Code.malformedXML),
      ("<PartNumber>1</PartNumber>", .malformedXML),
      ("<PartNumber>1</PartNumber><ETag></ETag>", .malformedXML),
      ("<PartNumber>x</PartNumber><ETag>e</ETag>", .malformedXML),
      ("<PartNumber>99999999999999999999</PartNumber><ETag>e</ETag>", .malformedXML),
      ("<PartNumber>1</PartNumber><ETag>e</ETag><ChecksumMD4>x</ChecksumMD4>", .malformedXML),
      ("<PartNumber>1</PartNumber><ETag>e</ETag><ChecksumSHA1>x</ChecksumSHA1>", .invalidRequest),
    ])
  func completeMalformed(part: String, expected: S3Error.Code) {
    let text = "<CompleteMultipartUpload><Part>\(part)</Part></CompleteMultipartUpload>"
    #expect(code { _ = try CompleteMultipartUploadBody(bytes(text)) } == expected)
  }

  @Test("CreateBucketConfiguration names a region or nothing")
  func createBucket() throws {
    #expect(try CreateBucketBody([]).location == nil)
    let body = try CreateBucketBody(
      bytes(
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
          + "</CreateBucketConfiguration>"))
    #expect(body.location == "eu-west-1")
    #expect(code { try body.check(region: "eu-west-1") } == nil)
    #expect(code { try body.check(region: "us-east-1") } == .illegalLocationConstraintException)
    #expect(code { try CreateBucketBody([]).check(region: "us-east-1") } == nil)
    #expect(code { _ = try CreateBucketBody(bytes("<X/>")) } == .malformedXML)
    #expect(
      code {
        _ = try CreateBucketBody(
          bytes("<CreateBucketConfiguration><X/></CreateBucketConfiguration>"))
      }
        == .malformedXML)
  }

  @Test("a body over its limit has a defined answer")
  func tooLargeClass23() {
    let body = bytes("<CreateBucketConfiguration>") + [UInt8](repeating: 0x20, count: 1 << 20)
    #expect(code { _ = try CreateBucketBody(body) } == .maxMessageLengthExceeded)
  }

  @Test("any bytes give a body or a defined error", arguments: 0..<4)
  func fuzzClass24(seed: UInt64) {
    print("Body fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    let delete =
      "<Delete><Object><Key>a&amp;</Key><Size>12</Size></Object><Quiet>true</Quiet></Delete>"
    let complete = text(Self.complete([1, 2, 3]))
    for _ in 0..<500 {
      let parsers: [() throws -> Void] = [
        { _ = try DeleteObjectsBody(mutate(delete, &random)) },
        { _ = try CompleteMultipartUploadBody(mutate(complete, &random)) },
        { _ = try CopySource(mutate("/bkt/k%20?versionId=a", &random)[...]) },
        { _ = try ObjectTags.parse(text(mutate("a=b&c=%20d", &random))) },
        { _ = try HTTPRange(mutate("bytes=0-99", &random)[...])?.resolve(size: 10) },
      ]
      for parser in parsers {
        do { try parser() } catch { #expect(error is S3Error) }
      }
    }
  }
}
