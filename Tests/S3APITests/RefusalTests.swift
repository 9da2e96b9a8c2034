import Testing

@Suite("Values that S3 refuses")
struct RefusalTests {
  @Test("a new bucket has the ownership of S3's default or is not made")
  func ownership() async throws {
    try await S3Fixture.serving { _, client async throws in
      for (value, expected) in [
        ("Junk", "400 InvalidArgument"), ("bucketownerenforced", "400 InvalidArgument"),
        ("", "400 InvalidArgument"), ("ObjectWriter", "501 NotImplemented"),
        ("BucketOwnerPreferred", "501 NotImplemented"),
      ] {
        let made = try await client.send(
          "PUT", "/bucket", headers: [("x-amz-object-ownership", value)])
        #expect(made.outcome == expected, "\(value)")
        #expect(try await client.send("GET", "/").values("Name").isEmpty)
      }
      let made = try await client.send(
        "PUT", "/bucket", headers: [("x-amz-object-ownership", "BucketOwnerEnforced")])
      #expect(made.outcome == "200")
    }
  }

  @Test("directives of copies have one spelling")
  func directives() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send(
        "PUT", "/bucket/k", headers: [("x-amz-meta-a", "1"), ("x-amz-tagging", "t=1")], body: [1])
      for name in ["x-amz-metadata-directive", "x-amz-tagging-directive"] {
        for value in ["replace", "Replace", "copy", "", "OTHER", "REPLACE,COPY"] {
          let copy = try await client.send(
            "PUT", "/bucket/to", headers: [("x-amz-copy-source", "/bucket/k"), (name, value)])
          #expect(copy.outcome == "400 InvalidArgument", "\(name) \(value)")
          #expect(copy.values("ArgumentName") == [name])
        }
        #expect(try await fixture.objectCount() == 1)
        for value in ["COPY", "REPLACE"] {
          let copy = try await client.send(
            "PUT", "/bucket/to", headers: [("x-amz-copy-source", "/bucket/k"), (name, value)])
          #expect(copy.outcome == "200", "\(name) \(value)")
        }
        try await client.send("DELETE", "/bucket/to")
      }
    }
  }

  @Test("classes whose objects must be restored before they are read are no classes here")
  func archives() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      for value in ["GLACIER", "DEEP_ARCHIVE", "glacier_ir", "NONE"] {
        let header = ("x-amz-storage-class", value)
        for (method, query, headers) in [
          ("PUT", "", [header]), ("POST", "uploads=", [header]),
          ("PUT", "", [header, ("x-amz-copy-source", "/bucket/k")]),
        ] {
          let answer = try await client.send(
            method, "/bucket/new", query: query, headers: headers,
            body: headers.count == 1 && method == "PUT" ? [1] : [])
          #expect(answer.outcome == "400 InvalidStorageClass", "\(method) \(value)")
        }
      }
      #expect(try await fixture.objectCount() == 1)
      let put = try await client.send(
        "PUT", "/bucket/new", headers: [("x-amz-storage-class", "GLACIER_IR")], body: [1])
      #expect(put.outcome == "200")
      let head = try await client.send("HEAD", "/bucket/new")
      #expect(head.header("x-amz-storage-class") == "GLACIER_IR")
    }
  }

  @Test(
    "a read with a customer's key of an object that has none is refused",
    arguments: [
      ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
      ("x-amz-server-side-encryption-customer-key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
      ("X-Amz-Server-Side-Encryption-Customer-Key-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
    ])
  func customerKeys(name: String, value: String) async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      let headers = [(name, value)]
      let got = try await client.send("GET", "/bucket/k", headers: headers)
      #expect(got.outcome == "400 InvalidRequest")
      #expect(try await client.send("HEAD", "/bucket/k", headers: headers).status == 400)
      let attributes = try await client.send(
        "GET", "/bucket/k", query: "attributes=",
        headers: headers + [("x-amz-object-attributes", "ETag")])
      #expect(attributes.outcome == "400 InvalidRequest")
      let absent = try await client.send("GET", "/bucket/none", headers: headers)
      #expect(absent.outcome == "404 NoSuchKey")
    }
  }

  @Test("pages of buckets have 1 to 10,000 rows, and one region has all buckets")
  func listBuckets() async throws {
    try await S3Fixture.serving { _, client async throws in
      for name in ["one", "two", "two-more"] { try await client.send("PUT", "/\(name)") }
      for value in ["0", "-1", "10001", "x", "", "99999999999999999999"] {
        let answer = try await client.send("GET", "/", query: "max-buckets=\(value)")
        #expect(answer.outcome == "400 InvalidArgument", "\(value)")
      }
      for value in ["3", "1000", "10000"] {
        let answer = try await client.send("GET", "/", query: "max-buckets=\(value)")
        #expect(answer.values("Name") == ["one", "two", "two-more"], "\(value)")
      }
      for (region, names) in [("eu-test-1", ["one", "two", "two-more"]), ("us-west-2", [])] {
        let answer = try await client.send("GET", "/", query: "bucket-region=\(region)")
        #expect(answer.status == 200)
        #expect(answer.values("Name") == names)
        let paged = try await client.send(
          "GET", "/", query: "bucket-region=\(region)&max-buckets=2")
        #expect(paged.values("Name") == Array(names.prefix(2)))
        #expect(paged.values("ContinuationToken").isEmpty == names.isEmpty)
      }
      let filtered = try await client.send(
        "GET", "/", query: "bucket-region=eu-test-1&prefix=two")
      #expect(filtered.values("Name") == ["two", "two-more"])
    }
  }

  @Test("errors are documents that XML readers take, whatever the key holds")
  func controlCharacters() async throws {
    try await S3Fixture.serving { _, client async throws in
      try await client.send("PUT", "/bucket")
      for key in ["nul%00x", "bell%07", "%1F", "no%EF%BF%BFn", "no%EF%BF%BE"] {
        let answer = try await client.send("GET", "/bucket/\(key)")
        #expect((400..<500).contains(answer.status))
        #expect(!answer.code.isEmpty)
        #expect(answer.values("Key").isEmpty, "\(key)")
        #expect(!answer.text.contains("&#x"), "\(key)")
        #expect(answer.text.unicodeScalars.allSatisfy { $0.value < 0xfffe || $0.value > 0xffff })
        #expect(answer.values("Resource").count == 1)
      }
      for key in ["tab%09", "line%0A", "%E2%82%AC", "%F0%9F%98%80", "del%7F"] {
        let answer = try await client.send("GET", "/bucket/\(key)")
        #expect(answer.outcome == "404 NoSuchKey")
        #expect(answer.values("Key").count == 1, "\(key)")
      }
    }
  }
}
