import Testing

@Suite("Keys and buckets")
struct KeyAndBucketTests {
  private static let keys = [
    "a/../b", "..", "../..", "./x", "a//b", "/lead", "//", "a%2Fb", "a%252Fb", "sp%20ace",
    "pl+us",
    "q%3Fm", "h%23h", "am%26p", "lt%3Cgt%3E", "quo%22te", "uml%C3%A4ut", "%F0%9F%98%80", "tab%09",
    "nl%0A", "x%7F", "~", "a:b@c!$'()*,;=", "trail/",
  ]

  @Test("odd keys come back, list as they are, and are distinct")
  func odd() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for (index, key) in Self.keys.enumerated() {
        let put = try await client.send("PUT", "/bucket/\(key)", body: [UInt8(index)])
        #expect(put.outcome == "200", "\(key)")
      }
      for (index, key) in Self.keys.enumerated() {
        let got = try await client.send("GET", "/bucket/\(key)")
        #expect(got.body == [UInt8(index)], "\(key)")
      }
      let listed = try await client.send(
        "GET", "/bucket", query: "encoding-type=url&list-type=2")
      #expect(listed.values("KeyCount") == ["\(Self.keys.count)"])
      #expect(listed.values("Key").count == Self.keys.count)
      #expect(listed.values("Key").contains("a/../b"))
      #expect(listed.values("Key").contains("nl%0A"))
      for key in Self.keys {
        #expect(try await client.send("DELETE", "/bucket/\(key)").status == 204)
      }
      #expect(try await client.send("DELETE", "/bucket").status == 204)
    }
  }

  @Test("1024 bytes are a key, 1025 are not, and NUL and bad UTF-8 have a defined answer")
  func limits() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let long = String(repeating: "k", count: 1024)
      #expect(try await client.send("PUT", "/bucket/\(long)", body: [1]).status == 200)
      #expect(try await client.send("GET", "/bucket/\(long)").body == [1])
      let longer = try await client.send("PUT", "/bucket/\(long)k", body: [1])
      #expect(longer.outcome == "400 KeyTooLongError")
      let wide = String(repeating: "%C3%A4", count: 512)
      #expect(try await client.send("PUT", "/bucket/\(wide)", body: [2]).status == 200)
      #expect(
        try await client.send("PUT", "/bucket/\(wide)a", body: [2]).code == "KeyTooLongError")
      let count = try await fixture.objectCount()
      for key in ["half%2", "no%zz"] {
        let put = try await client.send("PUT", "/bucket/x", body: [3]) {
          $0.path = "/bucket/\(key)"
        }
        #expect(put.outcome == "400 InvalidURI")
      }
      for key in ["nul%00x", "bad%FFutf", "cut%C3"] {
        let put = try await client.send("PUT", "/bucket/\(key)", body: [3])
        #expect((400..<500).contains(put.status) || put.status == 200, "\(key)")
        if put.status == 200 {
          #expect(try await client.send("GET", "/bucket/\(key)").body == [3], "\(key)")
        }
        let listed = try await client.send("GET", "/bucket", query: "list-type=2")
        #expect(listed.status == 200)
      }
      #expect(try await fixture.objectCount() >= count)
    }
  }

  @Test("creating twice, deleting what is not empty or not there")
  func buckets() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      #expect(try await client.send("PUT", "/bucket").header("location") == "/bucket")
      #expect(try await client.send("PUT", "/bucket").outcome == "409 BucketAlreadyOwnedByYou")
      let other = try await fixture.client("other")
      #expect(try await other.send("PUT", "/bucket").outcome == "409 BucketAlreadyExists")
      try await client.send("PUT", "/bucket/k", body: [1])
      #expect(try await client.send("DELETE", "/bucket").outcome == "409 BucketNotEmpty")
      try await client.send("DELETE", "/bucket/k")
      let begun = try await client.send("POST", "/bucket/k", query: "uploads=")
      #expect(try await client.send("DELETE", "/bucket").outcome == "409 BucketNotEmpty")
      let upload = try #require(begun.values("UploadId").first)
      #expect(
        try await client.send("DELETE", "/bucket/k", query: "uploadId=\(upload)").status == 204)
      #expect(try await client.send("DELETE", "/bucket").status == 204)
      #expect(try await client.send("DELETE", "/bucket").outcome == "404 NoSuchBucket")
      #expect(try await client.send("HEAD", "/bucket").status == 404)
      for name in ["UPPER", "ab", "a..b", "-ab", "192.168.0.1", "xn--a", "a_b"] {
        let made = try await client.send("PUT", "/\(name)")
        #expect(made.outcome == "400 InvalidBucketName", "\(name)")
      }
    }
  }

  @Test("a bucket that another process deletes and makes again is never mistaken for the old one")
  func recreatedBucket() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      let metadata = fixture.metadata.store
      try await client.send("PUT", "/bucket")
      #expect(try await client.send("PUT", "/bucket/k", body: [1]).status == 200)
      try await client.send("DELETE", "/bucket/k")
      let old = try #require(try await metadata.bucket(named: "bucket", tenant: 1))
      try await metadata.deleteBucket(old.id)
      #expect(try await client.send("PUT", "/bucket/k", body: [1]).outcome == "404 NoSuchBucket")
      #expect(try await client.send("PUT", "/bucket").status == 200)
      #expect(try await client.send("PUT", "/bucket/k", body: [1]).status == 200)
      try await client.send("DELETE", "/bucket/k")
      let second = try #require(try await metadata.bucket(named: "bucket", tenant: 1))
      try await metadata.deleteBucket(second.id)
      _ = try await metadata.createBucket(
        name: "bucket", tenant: 1, owner: second.owner, purpose: .s3)
      #expect(try await client.send("PUT", "/bucket/k", body: [1]).outcome == "503 SlowDown")
      #expect(try await client.send("PUT", "/bucket/k", body: [1]).status == 200)
    }
  }

  @Test("the location of a bucket, and a wrong one on creation")
  func location() async throws {
    try await S3Fixture.serving { _, client async throws in
      func body(_ region: String) -> [UInt8] {
        Array(
          ("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + "<LocationConstraint>\(region)</LocationConstraint></CreateBucketConfiguration>")
            .utf8)
      }
      let wrong = try await client.send("PUT", "/bucket", body: body("mars-1"))
      #expect(
        ["IllegalLocationConstraintException", "InvalidLocationConstraint"].contains(wrong.code))
      #expect(try await client.send("PUT", "/bucket", body: body("eu-test-1")).status == 200)
      let location = try await client.send("GET", "/bucket", query: "location=")
      #expect(location.text.contains("eu-test-1"))
      #expect(
        try await client.send("HEAD", "/bucket").header("x-amz-bucket-region") == "eu-test-1")
    }
  }

  @Test(
    "documents that are none are MalformedXML and change nothing",
    arguments: [
      "", "<", "<Delete>", "<Delete></Delete>", "nonsense", "<Delete><Object></Object></Delete>",
      "<!DOCTYPE x [<!ENTITY a \"b\">]><Delete><Object><Key>k</Key></Object></Delete>",
      "<Delete><Object><Key>k</Key></Object></Delete><more/>",
      "<Other><Object><Key>k</Key></Object></Other>",
      "<Delete><Object><Key>\u{1}</Key></Object></Delete>",
      String(repeating: "<a>", count: 40) + String(repeating: "</a>", count: 40),
    ])
  func malformed(text: String) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      let body = Array(text.utf8)
      let answer = try await client.send(
        "POST", "/bucket", query: "delete=",
        headers: [("x-amz-checksum-crc32", S3Client.checksum(.crc32, body))], body: body)
      #expect(answer.status == 400)
      #expect(
        ["MalformedXML", "MissingRequestBodyError"].contains(answer.code), "\(answer.code)")
      #expect(try await fixture.objectCount() == 1)
      let begun = try await client.send("POST", "/bucket/m", query: "uploads=")
      let upload = try #require(begun.values("UploadId").first)
      let complete = try await client.send(
        "POST", "/bucket/m", query: "uploadId=\(upload)", body: body)
      #expect(complete.status == 400)
      #expect(["MalformedXML", "MissingRequestBodyError"].contains(complete.code))
    }
  }

  @Test("DeleteObjects answers for each key, and quietly on request")
  func deleteObjects() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      for key in ["a", "b", "c"] { try await client.send("PUT", "/bucket/\(key)", body: [1]) }
      func delete(_ inner: String) async throws -> S3Answer {
        let body = Array("<Delete>\(inner)</Delete>".utf8)
        return try await client.send(
          "POST", "/bucket", query: "delete=",
          headers: [("x-amz-checksum-crc32", S3Client.checksum(.crc32, body))], body: body)
      }
      let long = String(repeating: "x", count: 1025)
      let answer = try await delete(
        "<Object><Key>a</Key></Object><Object><Key>none</Key></Object>"
          + "<Object><Key>\(long)</Key></Object>"
          + "<Object><Key>b</Key><VersionId>bad</VersionId></Object>"
          + "<Object><Key>c</Key><ETag>0000</ETag></Object>")
      #expect(answer.status == 200)
      #expect(answer.values("Deleted").count == 2)
      #expect(answer.values("Error").count == 3)
      #expect(answer.values("Code").sorted().contains("KeyTooLongError"))
      #expect(answer.values("Code").contains("PreconditionFailed"))
      #expect(try await fixture.objectCount() == 2)
      let quiet = try await delete("<Quiet>true</Quiet><Object><Key>b</Key></Object>")
      #expect(quiet.status == 200)
      #expect(quiet.values("Deleted").isEmpty)
      #expect(try await fixture.objectCount() == 1)
      let noDigest = try await client.send(
        "POST", "/bucket", query: "delete=",
        body: Array("<Delete><Object><Key>c</Key></Object></Delete>".utf8), payload: .unsigned)
      #expect(noDigest.status == 400)
      #expect(try await fixture.objectCount() == 1)
    }
  }
}
