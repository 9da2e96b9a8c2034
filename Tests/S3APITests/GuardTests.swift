import Testing

@Suite("Guards of what a client wants done only if")
struct GuardTests {
  @Test(
    "a delete or an abort under a guard that is not known deletes nothing",
    arguments: [
      ("x-amz-if-match-size", "999"), ("x-amz-if-match-size", "1"),
      ("x-amz-if-match-last-modified-time", "Thu, 01 Dec 2033 16:00:00 GMT"),
      ("x-amz-if-match-initiated-time", "Thu, 01 Dec 2033 16:00:00 GMT"),
    ])
  func unknownGuards(name: String, value: String) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      let begun = try await client.send("POST", "/bucket/k", query: "uploads=")
      let upload = try #require(begun.values("UploadId").first)
      for query in ["", "uploadId=\(upload)"] {
        let answer = try await client.send(
          "DELETE", "/bucket/k", query: query, headers: [(name, value)])
        #expect(answer.outcome == "501 NotImplemented", "\(query)")
        #expect(answer.values("Header") == [name])
      }
      #expect(try await client.send("GET", "/bucket/k").body == [1])
      #expect(
        try await client.send("GET", "/bucket", query: "uploads=").values("UploadId") == [upload])
    }
  }

  @Test("DeleteObjects keeps what it has an unknown guard for")
  func manyGuarded() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      for guardElement in [
        "<Size>999</Size>", "<Size>1</Size>",
        "<LastModifiedTime>Thu, 01 Dec 2033 16:00:00 GMT</LastModifiedTime>",
      ] {
        let body = Array("<Delete><Object><Key>k</Key>\(guardElement)</Object></Delete>".utf8)
        let answer = try await client.send("POST", "/bucket", query: "delete=", body: body)
        #expect(answer.values("Code") == ["NotImplemented"], "\(guardElement)")
        #expect(try await fixture.objectCount() == 1)
      }
    }
  }
}

@Suite("The owner that a client expects")
struct ExpectedOwnerTests {
  private static let header = "x-amz-expected-bucket-owner"
  private static let sourceHeader = "x-amz-source-expected-bucket-owner"

  private static func owner(_ client: S3Client) async throws -> String {
    try #require(try await client.send("GET", "/").values("ID").first)
  }

  @Test("each operation on a bucket is refused where another owner is expected")
  func differing() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/key", body: [1])
      let other = try await Self.owner(try await fixture.client("other"))
      #expect(try await Self.owner(client) != other)
      for request in SampleRequest.all()
      where request.operation.isImplemented && request.path != "/" {
        for (value, expected) in [
          (other, "403 AccessDenied"), ("123456789012", "403 AccessDenied"),
          ("somebody", "400 InvalidBucketOwnerAWSAccountID"),
          ("", "400 InvalidBucketOwnerAWSAccountID"),
          (other + "0", "400 InvalidBucketOwnerAWSAccountID"),
        ] {
          let answer = try await request.send(client, headers: [(Self.header, value)])
          let wanted = request.method == "HEAD" ? String(expected.prefix(3)) : expected
          #expect(answer.outcome == wanted, "\(request) \(value)")
        }
      }
      let elsewhere = try await client.send(
        "PUT", "/elsewhere", headers: [(Self.header, other)])
      #expect(elsewhere.outcome == "403 AccessDenied")
      #expect(try await client.send("GET", "/").values("Name") == ["bucket"])
      #expect(try await client.send("GET", "/bucket/key").body == [1])
      #expect(try await fixture.objectCount() == 1)
      let uploads = try await client.send("GET", "/bucket", query: "uploads=")
      #expect(uploads.values("UploadId").isEmpty)
    }
  }

  @Test("the ID that ListBuckets shows is the owner's, in headers and in presigned URLs")
  func own() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      let own = try await Self.owner(client)
      let other = try await Self.owner(try await fixture.client("other"))
      let expecting = [(Self.header, own)]
      #expect(try await client.send("PUT", "/bucket", headers: expecting).status == 200)
      let put = try await client.send("PUT", "/bucket/k", headers: expecting, body: [1])
      #expect(put.outcome == "200")
      #expect(try await client.send("GET", "/bucket/k", headers: expecting).body == [1])
      for (value, expected) in [(own, "200"), (other, "403 AccessDenied")] {
        let presigned = try await client.send(
          "GET", "/bucket/k", query: "\(Self.header)=\(value)", as: .presigned(seconds: 60))
        #expect(presigned.outcome == expected)
      }
      // An administrator may use the bucket, which is the user's all the same.
      let root = try await fixture.client("root", role: .administrator)
      #expect(try await root.send("GET", "/bucket/k", headers: expecting).body == [1])
      let roots = try await Self.owner(root)
      let denied = try await root.send("DELETE", "/bucket/k", headers: [(Self.header, roots)])
      #expect(denied.outcome == "403 AccessDenied")
      #expect(try await client.send("DELETE", "/bucket/k", headers: expecting).status == 204)
    }
  }

  @Test("copies are refused where either bucket belongs to another than expected")
  func copies() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/k", body: [1])
      let begun = try await client.send("POST", "/bucket/m", query: "uploads=")
      let upload = try #require(begun.values("UploadId").first)
      let own = try await Self.owner(client)
      let other = try await Self.owner(try await fixture.client("other"))
      for (bucket, source, expected) in [
        (own, other, "403 AccessDenied"), (other, own, "403 AccessDenied"),
        (own, "x", "400 InvalidBucketOwnerAWSAccountID"),
        ("x", own, "400 InvalidBucketOwnerAWSAccountID"),
      ] {
        for (path, query) in [
          ("/bucket/to", ""), ("/bucket/m", "partNumber=1&uploadId=\(upload)"),
        ] {
          let answer = try await client.send(
            "PUT", path, query: query,
            headers: [
              ("x-amz-copy-source", "/bucket/k"), (Self.header, bucket),
              (Self.sourceHeader, source),
            ])
          #expect(answer.outcome == expected, "\(path) \(bucket) \(source)")
        }
      }
      #expect(try await fixture.objectCount() == 1)
      let parts = try await client.send("GET", "/bucket/m", query: "uploadId=\(upload)")
      #expect(parts.values("PartNumber").isEmpty)
      let done = try await client.send(
        "PUT", "/bucket/to",
        headers: [
          ("x-amz-copy-source", "/bucket/k"), (Self.header, own), (Self.sourceHeader, own),
        ])
      #expect(done.outcome == "200")
    }
  }
}

@Suite("Browser forms")
struct FormTests {
  @Test(
    "a form upload is not offered, signed or not, and writes nothing",
    arguments: [
      "multipart/form-data; boundary=b", "multipart/form-data", "Multipart/Form-Data;boundary=b",
    ])
  func forms(type: String) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let body = Array(
        ("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nk\r\n--b\r\n"
          + "Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n")
          .utf8)
      for authentication in [Authentication.header, .none] {
        let answer = try await client.send(
          "POST", "/bucket", headers: [("content-type", type)], body: body, as: authentication)
        #expect(answer.outcome == "501 NotImplemented")
        let byHost = try await client.send(
          "POST", "/", headers: [("content-type", type)], body: body, as: authentication,
          host: "bucket.s3.test")
        #expect(byHost.outcome == "501 NotImplemented")
      }
      #expect(try await fixture.objectCount() == 0)
      // A form in the body makes no other operation one that needs no signature.
      for (method, path, query) in [
        ("PUT", "/bucket/k", ""), ("POST", "/bucket", "delete="), ("GET", "/bucket", ""),
        ("POST", "/bucket/k", "uploads="),
      ] {
        let answer = try await client.send(
          method, path, query: query, headers: [("content-type", type)], as: .none)
        #expect(answer.outcome == "403 AccessDenied", "\(method) \(path)")
      }
    }
  }
}
