import Base
import Checksums
import Crypto
import Testing

@Suite("Multipart uploads and checksums")
struct MultipartTests {
  private static let large = Sample.bytes(5 << 20)

  private static func begin(
    _ client: S3Client, _ key: String = "m", headers: [(String, String)] = []
  ) async throws -> String {
    let begun = try await client.send(
      "POST", "/bucket/\(key)", query: "uploads=", headers: headers)
    #expect(begun.status == 200)
    return try #require(begun.values("UploadId").first)
  }

  private static func part(
    _ client: S3Client, _ upload: String, _ number: Int, _ body: [UInt8],
    headers: [(String, String)] = []
  ) async throws -> String {
    let put = try await client.send(
      "PUT", "/bucket/m", query: "partNumber=\(number)&uploadId=\(upload)", headers: headers,
      body: body, payload: .unsigned)
    #expect(put.outcome == "200")
    return try #require(put.header("etag"))
  }

  private static func document(_ parts: [(Int, String)], inner: [String] = []) -> [UInt8] {
    var text = "<CompleteMultipartUpload>"
    for (index, part) in parts.enumerated() {
      text += "<Part><PartNumber>\(part.0)</PartNumber><ETag>\(part.1)</ETag>"
      text += (index < inner.count ? inner[index] : "") + "</Part>"
    }
    return Array((text + "</CompleteMultipartUpload>").utf8)
  }

  private static func complete(
    _ client: S3Client, _ upload: String, _ body: [UInt8], headers: [(String, String)] = []
  ) async throws -> S3Answer {
    try await client.send(
      "POST", "/bucket/m", query: "uploadId=\(upload)", headers: headers, body: body)
  }

  @Test("parts become one object, readable whole, by range and by part; Complete may be repeated")
  func lifecycle() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let upload = try await Self.begin(client, headers: [("x-amz-meta-a", "1")])
      let tail = Sample.bytes(70_001)
      let one = try await Self.part(client, upload, 1, Self.large)
      _ = try await Self.part(client, upload, 4, Sample.bytes(10))
      let four = try await Self.part(client, upload, 4, tail)
      let listed = try await client.send("GET", "/bucket/m", query: "uploadId=\(upload)")
      #expect(listed.values("PartNumber") == ["1", "4"])
      #expect(listed.values("ETag") == [one, four])
      let uploads = try await client.send("GET", "/bucket", query: "uploads=")
      #expect(uploads.values("UploadId") == [upload])
      #expect(try await client.send("GET", "/bucket/m").outcome == "404 NoSuchKey")
      let body = Self.document([(1, one), (4, four)])
      let first = try await Self.complete(client, upload, body)
      #expect(first.status == 200)
      let digest = Digest.hash(
        .md5, Digest.hash(.md5, Self.large) + Digest.hash(.md5, tail))
      #expect(first.values("ETag") == ["\"\(Hex.encode(digest))-2\""])
      let again = try await Self.complete(client, upload, body)
      #expect(again.body == first.body)
      let other = try await Self.complete(client, upload, Self.document([(1, four), (4, one)]))
      #expect(other.outcome == "404 NoSuchUpload")
      let whole = try await client.send("GET", "/bucket/m")
      #expect(whole.body == Self.large + tail)
      #expect(whole.header("x-amz-meta-a") == "1")
      let from = Self.large.count - 10
      let range = try await client.send(
        "GET", "/bucket/m", headers: [("range", "bytes=\(from)-\(from + 29)")])
      #expect(range.body == Array((Self.large + tail)[from..<from + 30]))
      let part = try await client.send("GET", "/bucket/m", query: "partNumber=4")
      #expect(part.status == 206)
      #expect(part.body == tail)
      #expect(part.header("x-amz-mp-parts-count") == "2")
      #expect(
        try await client.send("GET", "/bucket/m", query: "partNumber=3").code
          == "InvalidPartNumber")
      let attributes = try await client.send(
        "GET", "/bucket/m", query: "attributes=",
        headers: [("x-amz-object-attributes", "ETag,ObjectParts,ObjectSize,Checksum")])
      #expect(attributes.values("ObjectSize") == ["\(whole.body.count)"])
      #expect(attributes.values("PartNumber") == ["1", "4"])
      #expect(attributes.values("Size") == ["\(Self.large.count)", "\(tail.count)"])
      #expect(
        try await client.send("DELETE", "/bucket/m", query: "uploadId=\(upload)").outcome
          == "404 NoSuchUpload")
    }
  }

  @Test("pages of parts and uploads add up, and a page of nothing ends")
  func pages() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let upload = try await Self.begin(client)
      for number in [1, 3, 7] {
        _ = try await Self.part(client, upload, number, Sample.bytes(number))
      }
      let base = "uploadId=\(upload)"
      let none = try await client.send("GET", "/bucket/m", query: "max-parts=0&" + base)
      #expect(none.values("IsTruncated") == ["false"])
      #expect(none.values("PartNumber").isEmpty)
      var numbers: [String] = []
      var marker = "0"
      for _ in 0..<4 {
        let page = try await client.send(
          "GET", "/bucket/m", query: "max-parts=1&part-number-marker=\(marker)&" + base)
        numbers += page.values("PartNumber")
        guard page.values("IsTruncated") == ["true"] else { break }
        marker = try #require(page.values("NextPartNumberMarker").first)
      }
      #expect(numbers == ["1", "3", "7"])
      var expected = [upload]
      for key in ["a", "m", "m", "z/1", "z/2"] {
        expected.append(try await Self.begin(client, key))
      }
      for size in [1, 2, 4, 100] {
        var found: [String] = []
        var next = ""
        for _ in 0..<7 {
          let page = try await client.send(
            "GET", "/bucket", query: "max-uploads=\(size)&uploads=" + next)
          #expect(page.status == 200)
          found += page.values("UploadId")
          guard page.values("IsTruncated") == ["true"] else { break }
          let key = try #require(page.values("NextKeyMarker").first).replacing("/", with: "%2F")
          let id = try #require(page.values("NextUploadIdMarker").first)
          next = "&key-marker=\(key)&upload-id-marker=\(id)"
        }
        #expect(found.count == expected.count, "\(size)")
        #expect(Set(found) == Set(expected), "\(size)")
      }
      let grouped = try await client.send(
        "GET", "/bucket", query: "delimiter=%2F&prefix=z&uploads=")
      #expect(grouped.values("UploadId").isEmpty)
      #expect(grouped.values("CommonPrefixes") == ["<Prefix>z/</Prefix>"])
    }
  }

  @Test("the same Complete twice at once answers twice as one")
  func race() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for _ in 0..<8 {
        let upload = try await Self.begin(client)
        let one = try await Self.part(client, upload, 1, Sample.bytes(10))
        let body = Self.document([(1, one)])
        let answers = try await withThrowingTaskGroup(of: String.self) { group in
          for _ in 0..<4 {
            group.addTask {
              let answer = try await Self.complete(client, upload, body)
              return "\(answer.outcome) \(answer.values("ETag"))"
            }
          }
          return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(answers.count == 1)
        #expect(answers.first?.hasPrefix("200 ") == true, "\(answers)")
      }
    }
  }

  @Test("small, missing, wrong and unordered parts are refused and the upload stays")
  func refusals() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let upload = try await Self.begin(client)
      let one = try await Self.part(client, upload, 1, Sample.bytes(10))
      let two = try await Self.part(client, upload, 2, Sample.bytes(20))
      let cases: [(([(Int, String)]), String)] = [
        ([(1, one), (2, two)], "400 EntityTooSmall"), ([(1, two)], "400 InvalidPart"),
        ([(1, one), (3, two)], "400 InvalidPart"),
        ([(2, two), (1, one)], "400 InvalidPartOrder"),
        ([(1, one), (1, one)], "400 InvalidPartOrder"), ([], "400 MalformedXML"),
      ]
      for (parts, expected) in cases {
        let answer = try await Self.complete(client, upload, Self.document(parts))
        #expect(answer.outcome == expected, "\(parts)")
      }
      let body = Self.document([(2, two)])
      for (headers, expected) in [
        ([("x-amz-mp-object-size", "19")], "400 InvalidRequest"),
        ([("x-amz-mp-object-size", "x")], "400 InvalidArgument"),
        ([("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=")], "400 BadDigest"),
        (
          [("x-amz-checksum-sha256", S3Client.checksum(.sha256, Sample.bytes(20)))],
          "400 BadDigest"
        ),
        ([("if-match", "\"00\"")], "404 NoSuchKey"),
      ] {
        let answer = try await Self.complete(client, upload, body, headers: headers)
        #expect(answer.outcome == expected, "\(headers)")
      }
      for number in ["0", "10001", "-1", "x"] {
        let answer = try await client.send(
          "PUT", "/bucket/m", query: "partNumber=\(number)&uploadId=\(upload)", body: [1])
        #expect(answer.outcome == "400 InvalidArgument", "\(number)")
      }
      #expect(try await fixture.objectCount() == 0)
      let done = try await Self.complete(
        client, upload, body,
        headers: [
          ("x-amz-mp-object-size", "20"), ("if-none-match", "*"),
          ("x-amz-checksum-crc64nvme", S3Client.checksum(.crc64nvme, Sample.bytes(20))),
        ])
      #expect(done.outcome == "200")
      #expect(try await client.send("GET", "/bucket/m").body == Sample.bytes(20))
    }
  }

  @Test("parts are copied, whole and by range")
  func copies() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/s", body: Self.large, payload: .unsigned)
      let upload = try await Self.begin(client)
      var parts: [(Int, String)] = []
      for (number, range) in [(1, nil), (2, "bytes=7-100000"), (3, "bytes=0-0")] {
        var headers = [("x-amz-copy-source", "/bucket/s")]
        if let range { headers.append(("x-amz-copy-source-range", range)) }
        let copied = try await client.send(
          "PUT", "/bucket/m", query: "partNumber=\(number)&uploadId=\(upload)", headers: headers)
        #expect(copied.status == 200)
        parts.append((number, try #require(copied.values("ETag").first)))
      }
      for range in ["bytes=0-\(Self.large.count)", "bytes=5-", "bytes=-5", "x"] {
        let copied = try await client.send(
          "PUT", "/bucket/m", query: "partNumber=5&uploadId=\(upload)",
          headers: [("x-amz-copy-source", "/bucket/s"), ("x-amz-copy-source-range", range)])
        #expect(copied.outcome == "400 InvalidArgument", "\(range)")
      }
      #expect(
        try await Self.complete(client, upload, Self.document(parts)).code == "EntityTooSmall")
      parts.remove(at: 1)
      #expect(try await Self.complete(client, upload, Self.document(parts)).status == 200)
      #expect(try await client.send("GET", "/bucket/m").body == Self.large + [0])
    }
  }

  @Test("full-object and composite checksums of parts", arguments: ChecksumAlgorithm.allCases)
  func partChecksums(algorithm: ChecksumAlgorithm) async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      let tail = Sample.bytes(12_345)
      for type in ChecksumType.allCases {
        let headers = [
          ("x-amz-checksum-algorithm", algorithm.name), ("x-amz-checksum-type", type.rawValue),
        ]
        guard algorithm.multipartTypes.contains(type) else {
          let begun = try await client.send(
            "POST", "/bucket/m", query: "uploads=", headers: headers)
          #expect(begun.outcome == "400 InvalidRequest")
          continue
        }
        let upload = try await Self.begin(client, headers: headers)
        var named: [(Int, String)] = []
        var inner: [String] = []
        for (number, body) in [(1, Self.large), (2, tail)] {
          let sum = S3Client.checksum(algorithm, body)
          let etag = try await Self.part(
            client, upload, number, body, headers: [(algorithm.headerName, sum)])
          named.append((number, etag))
          inner.append("<\(algorithm.elementName)>\(sum)</\(algorithm.elementName)>")
        }
        let expected =
          switch type {
          case .fullObject: S3Client.checksum(algorithm, Self.large + tail)
          case .composite:
            try Checksum.composite(
              algorithm,
              of: [Self.large, tail].map { ChecksumHasher.checksum(algorithm, of: $0) }
            ).description
          }
        var wrong = inner
        wrong.swapAt(0, 1)
        let body = Self.document(named, inner: inner)
        let refused = try await Self.complete(client, upload, Self.document(named, inner: wrong))
        #expect(refused.outcome == "400 InvalidPart")
        let done = try await Self.complete(
          client, upload, body,
          headers: [(algorithm.headerName, expected), ("x-amz-checksum-type", type.rawValue)])
        #expect(done.outcome == "200", "\(type)")
        #expect(done.values(algorithm.elementName) == [expected])
        let head = try await client.send(
          "HEAD", "/bucket/m", headers: [("x-amz-checksum-mode", "ENABLED")])
        #expect(head.header(algorithm.headerName) == expected)
        #expect(head.header("x-amz-checksum-type") == type.rawValue)
        let silent = try await client.send("HEAD", "/bucket/m")
        #expect(silent.header(algorithm.headerName) == nil)
      }
    }
  }

  @Test("checksums of a put: by header, by default, wrong", arguments: ChecksumAlgorithm.allCases)
  func putChecksums(algorithm: ChecksumAlgorithm) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      for size in [0, 100, 2_000_000] {
        let body = Sample.bytes(size)
        let sum = S3Client.checksum(algorithm, body)
        let other = S3Client.checksum(algorithm, body + [1])
        let bad = try await client.send(
          "PUT", "/bucket/k", headers: [(algorithm.headerName, other)], body: body)
        #expect(bad.outcome == "400 BadDigest")
        #expect(try await fixture.objectCount() == 0)
        let put = try await client.send(
          "PUT", "/bucket/k", headers: [(algorithm.headerName, sum)], body: body,
          payload: .unsigned)
        #expect(put.header(algorithm.headerName) == sum)
        let got = try await client.send(
          "GET", "/bucket/k", headers: [("x-amz-checksum-mode", "ENABLED")])
        #expect(got.header(algorithm.headerName) == sum)
        #expect(got.header("x-amz-checksum-type") == "FULL_OBJECT")
        let plain = try await client.send("PUT", "/bucket/k", body: body)
        #expect(plain.header("x-amz-checksum-crc64nvme") == S3Client.checksum(.crc64nvme, body))
        try await client.send("DELETE", "/bucket/k")
      }
      let two = try await client.send(
        "PUT", "/bucket/k",
        headers: [
          ("x-amz-checksum-crc32", S3Client.checksum(.crc32, [1])),
          ("x-amz-checksum-sha1", S3Client.checksum(.sha1, [1])),
        ], body: [1])
      #expect(two.outcome == "400 InvalidRequest")
      let short = try await client.send(
        "PUT", "/bucket/k", headers: [(algorithm.headerName, "AAA=")], body: [1])
      #expect(short.outcome == "400 InvalidRequest")
    }
  }

  @Test("Content-MD5 right, wrong and none")
  func contentMD5() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let body = Sample.bytes(30_000)
      let right = Base64.encode(Digest.hash(.md5, body))
      let wrong = Base64.encode(Digest.hash(.md5, body + [0]))
      for (value, expected) in [
        (wrong, "400 BadDigest"), ("nonsense", "400 InvalidDigest"), ("", "400 InvalidDigest"),
      ] {
        let put = try await client.send(
          "PUT", "/bucket/k", headers: [("content-md5", value)], body: body)
        #expect(put.outcome == expected)
        #expect(try await fixture.objectCount() == 0)
      }
      let put = try await client.send(
        "PUT", "/bucket/k", headers: [("content-md5", right)], body: body)
      #expect(put.outcome == "200")
    }
  }
}
