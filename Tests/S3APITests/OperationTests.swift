import Checksums
import Testing

@testable import S3Wire

/// A request for an operation, as its rule says.
struct SampleRequest: Sendable, CustomStringConvertible {
  var operation: S3Operation
  var method: String
  var path: String
  var query: String
  var headers: [(String, String)]

  var description: String { "\(operation)" }

  /// nil for operations that no request reaches by method and target alone.
  init?(_ operation: S3Operation, bucket: String = "bucket") {
    guard let rule = operation.rule else { return nil }
    self.operation = operation
    method = rule.method.rawValue
    path =
      switch rule.target {
      case .service: "/"
      case .bucket: "/\(bucket)"
      case .object: "/\(bucket)/key"
      }
    query = rule.markers.map { marker in
      let name = String(decoding: marker, as: UTF8.self)
      switch name {
      case "partNumber": return "partNumber=1"
      case "uploadId": return "uploadId=0123456789abcdef0123456789abcdef"
      case "id": return "id=x"
      case "annotationName": return "annotationName=x"
      default: return name.contains("=") ? name : "\(name)="
      }
    }.joined(separator: "&")
    headers = rule.header.map { [($0, "/bucket/key")] } ?? []
    if operation == .deleteObjects {
      headers.append(("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="))
    }
    if operation == .postObject {
      headers.append(("content-type", "multipart/form-data; boundary=b"))
    }
    if operation == .getObjectAttributes {
      headers.append(("x-amz-object-attributes", "ETag"))
    }
  }

  func send(
    _ client: S3Client, headers extra: [(String, String)] = [],
    as authentication: Authentication = .header
  ) async throws -> S3Answer {
    try await client.send(
      method, path, query: query, headers: headers + extra, as: authentication)
  }

  static func all(bucket: String = "bucket") -> [SampleRequest] {
    S3Operation.allCases.compactMap { SampleRequest($0, bucket: bucket) }
  }
}

@Suite("Who may do what")
struct AccessTests {
  /// HEAD has no body to carry a code.
  private func refused(_ request: SampleRequest, _ code: String) -> String {
    // Who sends a form upload is said in its body, which nobody reads.
    if request.operation == .postObject { return "501 NotImplemented" }
    return request.method == "HEAD" ? "403" : "403 \(code)"
  }

  @Test("nobody may do anything without a signature, conditions or not")
  func anonymous() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send("PUT", "/bucket/key", body: [1])
      let etag = put.header("etag") ?? ""
      for request in SampleRequest.all() {
        for extra in [
          [], [("if-none-match", etag)], [("if-match", "\"0\"")],
          [("if-modified-since", "Thu, 01 Dec 2033 16:00:00 GMT")], [("range", "bytes=9-")],
        ] {
          let answer = try await request.send(client, headers: extra, as: .none)
          #expect(answer.outcome == refused(request, "AccessDenied"), "\(request) \(extra)")
        }
      }
      #expect(try await client.send("GET", "/absent", as: .none).outcome == "403 AccessDenied")
      #expect(try await client.send("GET", "/bucket/no", as: .none).outcome == "403 AccessDenied")
      #expect(try await fixture.objectCount() == 1)
      #expect(try await client.send("GET", "/bucket/key").body == [1])
    }
  }

  @Test("a wrong secret, a revoked key and a disabled user are refused everywhere")
  func badKeys() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/key", body: [1])
      let revoked = try await fixture.client("rita")
      let disabled = try await fixture.client("dora")
      #expect(try await revoked.send("GET", "/").status == 200)
      #expect(try await disabled.send("GET", "/").status == 200)
      try await fixture.access.revokeKey(revoked.accessKey)
      try await fixture.access.setDisabled("dora", true)
      var wrong = client
      wrong.secret = "not the secret"
      for request in SampleRequest.all() {
        #expect(
          try await request.send(wrong).outcome == refused(request, "SignatureDoesNotMatch"),
          "\(request)")
        for other in [revoked, disabled] {
          #expect(
            try await request.send(other).outcome == refused(request, "InvalidAccessKeyId"),
            "\(request)")
        }
      }
      #expect(try await client.send("GET", "/bucket/key").body == [1])
    }
  }

  @Test("another user's bucket is closed to every operation, conditions or not")
  func otherUser() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let put = try await client.send("PUT", "/bucket/key", body: [1])
      let mallory = try await fixture.client("mallory")
      let etag = put.header("etag") ?? ""
      for request in SampleRequest.all()
      where request.operation.isImplemented && request.path != "/" {
        for extra in [[], [("if-none-match", etag)], [("if-match", "\"0\"")]] {
          let answer = try await request.send(mallory, headers: extra)
          if request.operation == .createBucket {
            #expect(answer.outcome == "409 BucketAlreadyExists")
          } else {
            #expect(answer.outcome == refused(request, "AccessDenied"), "\(request) \(extra)")
          }
        }
      }
      #expect(try await mallory.send("GET", "/").values("Name") == [])
      #expect(try await client.send("GET", "/bucket/key").body == [1])
    }
  }

  @Test("a copy from another user's bucket is refused, whole or as a part")
  func copySource() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/secret")
      try await client.send("PUT", "/secret/key", body: [1, 2, 3])
      let mallory = try await fixture.client("mallory")
      try await mallory.send("PUT", "/mine")
      for source in ["/secret/key", "secret/key", "/secret/k%65y", "/secret/absent"] {
        let copy = try await mallory.send(
          "PUT", "/mine/copy", headers: [("x-amz-copy-source", source)])
        #expect(copy.outcome == "403 AccessDenied", "\(source)")
      }
      let begun = try await mallory.send("POST", "/mine/copy", query: "uploads=")
      let upload = try #require(begun.values("UploadId").first)
      let part = try await mallory.send(
        "PUT", "/mine/copy", query: "partNumber=1&uploadId=\(upload)",
        headers: [("x-amz-copy-source", "/secret/key")])
      #expect(part.outcome == "403 AccessDenied")
      let parts = try await mallory.send("GET", "/mine/copy", query: "uploadId=\(upload)")
      #expect(parts.status == 200)
      #expect(parts.values("Part").isEmpty)
      #expect(try await fixture.objectCount() == 1)
    }
  }
}

@Suite("What is not offered")
struct NotImplementedTests {
  @Test("every other operation answers NotImplemented and changes nothing")
  func table() async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      try await client.send("PUT", "/bucket/key", body: [1, 2, 3])
      let before = try await client.send("GET", "/bucket", query: "list-type=2").body
      var count = 0
      for request in SampleRequest.all() where !request.operation.isImplemented {
        let answer = try await request.send(client)
        #expect(answer.outcome == "501 NotImplemented", "\(request)")
        count += 1
      }
      #expect(count > 60)
      let after = try await client.send("GET", "/bucket", query: "list-type=2").body
      #expect(before == after)
      #expect(try await client.send("GET", "/bucket/key").body == [1, 2, 3])
      #expect(try await fixture.objectCount() == 1)
    }
  }

  @Test("the answer of an object function, whose path names no bucket, is not offered")
  func objectResponse() async throws {
    try await S3Fixture.serving { _, client async throws in
      let headers = [("x-amz-request-route", "r"), ("x-amz-request-token", "t")]
      let path = "/WriteGetObjectResponse"
      let signed = try await client.send("POST", path, headers: headers, body: [1])
      #expect(signed.outcome == "501 NotImplemented")
      let anonymous = try await client.send("POST", path, headers: headers, as: .none)
      #expect(anonymous.outcome == "501 NotImplemented")
      #expect(try await client.send("PUT", path).outcome == "400 InvalidBucketName")
    }
  }

  @Test("every operation of the table is either offered or has a sample here")
  func total() {
    for operation in S3Operation.allCases where operation.rule == nil {
      #expect(operation == .preflightRequest)
    }
  }

  @Test("a preflight without configuration is refused")
  func preflight() async throws {
    try await S3Fixture.serving { _, client async throws in
      let answer = try await client.send(
        "OPTIONS", "/bucket/key",
        headers: [("origin", "http://x.test"), ("access-control-request-method", "GET")],
        as: .none)
      #expect(answer.status == 403)
    }
  }

  @Test(
    "headers that ask for what is not done are refused",
    arguments: [
      ("x-amz-server-side-encryption", "aws:kms", "501 NotImplemented"),
      ("x-amz-server-side-encryption", "rot13", "400 InvalidEncryptionAlgorithmError"),
      ("x-amz-server-side-encryption-customer-algorithm", "AES256", "501 NotImplemented"),
      ("x-amz-acl", "public-read", "400 AccessControlListNotSupported"),
      ("x-amz-grant-read", "id=1", "400 AccessControlListNotSupported"),
      ("x-amz-object-lock-legal-hold", "ON", "400 InvalidRequest"),
      ("x-amz-write-offset-bytes", "5", "501 NotImplemented"),
      ("if-none-match", "\"x\"", "501 NotImplemented"),
    ])
  func headers(name: String, value: String, expected: String) async throws {
    try await S3Fixture.serving { fixture, client async throws in
      try await client.send("PUT", "/bucket")
      let answer = try await client.send(
        "PUT", "/bucket/key", headers: [(name, value)], body: [1])
      #expect(answer.outcome == expected)
      #expect(try await fixture.objectCount() == 0)
    }
  }
}
