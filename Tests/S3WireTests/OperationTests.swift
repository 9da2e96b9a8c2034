import Runtime
import S3Wire
import Testing

private func route(
  _ method: String, _ path: String, headers: Set<String> = [], isForm: Bool = false
) throws -> S3Operation {
  let parts = path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
  let target = try RequestTarget(
    rawPath: slice(String(parts[0])), rawQuery: parts.count > 1 ? slice(String(parts[1])) : [],
    host: [], domains: [])
  return try S3Router.route(
    method: method, hasBucket: target.bucket != nil, hasKey: target.key != nil,
    query: target.query, isForm: isForm, hasHeader: { headers.contains($0) })
}

@Suite("The table of operations")
struct OperationTests {
  @Test("every operation but the preflight has exactly one rule, and actions")
  func total() {
    for operation in S3Operation.allCases where operation != .preflightRequest {
      #expect(operation.rule?.operation == operation)
      #expect(!operation.actions().isEmpty)
      #expect(operation.actions().allSatisfy { $0.hasPrefix("s3:") })
    }
    #expect(S3Operation.preflightRequest.rule == nil)
    #expect(S3Operation.allCases.count == 113)
  }

  @Test("exactly the operations of the release are offered")
  func implemented() {
    #expect(S3Operation.allCases.count(where: \.isImplemented) == 21)
    #expect(!S3Operation.getBucketPolicy.isImplemented)
    #expect(S3Operation.listObjectsV2.isImplemented)
  }

  @Test("versions have actions of their own, and copies need one on the source")
  func actions() {
    #expect(S3Operation.getObject.actions() == ["s3:GetObject"])
    #expect(S3Operation.getObject.actions(withVersionID: true) == ["s3:GetObjectVersion"])
    #expect(S3Operation.deleteObject.actions(withVersionID: true) == ["s3:DeleteObjectVersion"])
    #expect(S3Operation.copyObject.sourceAction(withVersionID: false) == "s3:GetObject")
    #expect(S3Operation.uploadPartCopy.sourceAction(withVersionID: true) == "s3:GetObjectVersion")
    #expect(S3Operation.putObject.sourceAction(withVersionID: false) == nil)
  }

  static let routes: [(String, String, Set<String>, S3Operation)] = [
    ("GET", "/", [], .listBuckets),
    ("GET", "/?x-id=ListBuckets", [], .listBuckets),
    ("PUT", "/bkt", [], .createBucket),
    ("PUT", "/bkt/", [], .createBucket),
    ("HEAD", "/bkt", [], .headBucket),
    ("DELETE", "/bkt", [], .deleteBucket),
    ("GET", "/bkt?location", [], .getBucketLocation),
    ("GET", "/bkt?location=", [], .getBucketLocation),
    ("GET", "/bkt", [], .listObjects),
    ("GET", "/bkt?prefix=acl&unknown", [], .listObjects),
    ("GET", "/bkt?list-type=2&prefix=a", [], .listObjectsV2),
    ("GET", "/bkt?list-type=1", [], .listObjects),
    ("GET", "/bkt?versions&list-type=2", [], .listObjectVersions),
    ("GET", "/bkt?uploads", [], .listMultipartUploads),
    ("POST", "/bkt?delete", [], .deleteObjects),
    ("GET", "/bkt?policy", [], .getBucketPolicy),
    ("PUT", "/bkt?versioning", [], .putBucketVersioning),
    ("GET", "/bkt?metrics", [], .listBucketMetricsConfigurations),
    ("GET", "/bkt?metrics&id=1", [], .getBucketMetricsConfiguration),
    ("GET", "/bkt?object-lock", [], .getObjectLockConfiguration),
    ("GET", "/bkt?session", [], .createSession),
    ("GET", "/bkt/k", [], .getObject),
    ("GET", "/bkt/k?versionId=1&partNumber=2", [], .getObject),
    ("GET", "/bkt/k?X-Amz-Signature=0&response-expires=1", [], .getObject),
    ("HEAD", "/bkt/k", [], .headObject),
    ("HEAD", "/bkt/k?partNumber=1", [], .headObject),
    ("DELETE", "/bkt/k?versionId=1", [], .deleteObject),
    ("PUT", "/bkt/k", [], .putObject),
    ("PUT", "/bkt/k", ["x-amz-copy-source"], .copyObject),
    ("PUT", "/bkt/k?partNumber=1&uploadId=u", [], .uploadPart),
    ("PUT", "/bkt/k?partNumber=1&uploadId=u", ["x-amz-copy-source"], .uploadPartCopy),
    ("PUT", "/bkt/k?acl", ["x-amz-copy-source"], .putObjectAcl),
    ("PUT", "/bkt/k?tagging", [], .putObjectTagging),
    ("PUT", "/bkt/k?renameObject", [], .renameObject),
    ("POST", "/bkt/k?uploads", [], .createMultipartUpload),
    ("POST", "/bkt/k?uploadId=u", [], .completeMultipartUpload),
    ("GET", "/bkt/k?uploadId=u", [], .listParts),
    ("DELETE", "/bkt/k?uploadId=u", [], .abortMultipartUpload),
    ("GET", "/bkt/k?attributes", [], .getObjectAttributes),
    ("POST", "/bkt/k?select&select-type=2", [], .selectObjectContent),
    ("POST", "/bkt/k?restore&versionId=1", [], .restoreObject),
    ("OPTIONS", "/bkt/k", [], .preflightRequest),
    ("GET", "/bkt/a%2Fb?acl", [], .getObjectAcl),
  ]

  @Test("requests find their operation", arguments: routes.indices)
  func routing(index: Int) throws {
    let (method, path, headers, operation) = Self.routes[index]
    #expect(try route(method, path, headers: headers) == operation)
  }

  @Test("a form upload is one only with a form")
  func form() throws {
    #expect(try route("POST", "/bkt", isForm: true) == .postObject)
    #expect(code { _ = try route("POST", "/bkt") } == .preconditionFailed)
  }

  @Test(
    "a sub-resource that the method does not have never becomes another operation",
    arguments: [
      ("DELETE", "/bkt?acl"), ("DELETE", "/bkt?location"), ("DELETE", "/bkt?uploads"),
      ("PUT", "/bkt?location"), ("HEAD", "/bkt?policy"), ("PUT", "/bkt?delete"),
      ("DELETE", "/bkt/k?acl"), ("PUT", "/bkt/k?uploads"), ("PUT", "/bkt/k?attributes"),
      ("HEAD", "/bkt/k?tagging"), ("GET", "/bkt/k?restore"), ("DELETE", "/bkt/k?policy"),
      ("GET", "/bkt/k?policy"), ("GET", "/bkt?torrent"), ("PUT", "/bkt?uploadId=u"),
      ("POST", "/"), ("PUT", "/"), ("DELETE", "/"), ("HEAD", "/"), ("POST", "/bkt/k"),
      ("PATCH", "/bkt/k"), ("get", "/bkt"), ("", "/"), ("GET", "/bkt?delete"),
      ("DELETE", "/bkt?metrics"),
    ])
  func methodNotAllowed(method: String, path: String) {
    #expect(code { _ = try route(method, path) } == .methodNotAllowed)
  }

  @Test("two sub-resources, or half of a part, are invalid")
  func conflicts() {
    #expect(code { _ = try route("GET", "/bkt?acl&policy") } == .invalidArgument)
    #expect(code { _ = try route("DELETE", "/bkt/k?tagging&uploadId=u") } == .invalidArgument)
    #expect(code { _ = try route("PUT", "/bkt/k?partNumber=1") } == .invalidArgument)
    #expect(code { _ = try route("PUT", "/bkt/k?uploadId=u") } == .invalidArgument)
    #expect(code { _ = try route("GET", "/bkt?acl&acl") } == nil)
  }

  @Test("any method and query route to one operation or a defined error", arguments: 0..<4)
  func fuzz(seed: UInt64) {
    print("Router fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    let words = [
      "acl", "uploads", "uploadId=", "partNumber=1", "list-type=2", "id", "tagging", "select",
      "delete", "x", "versions", "policy=", "%61cl", "",
    ]
    for _ in 0..<2000 {
      let method = S3Method.allCases.randomElement(using: &random) ?? .get
      let query = (0..<Int.random(in: 0...4, using: &random))
        .map { _ in words.randomElement(using: &random) ?? "" }.joined(separator: "&")
      let path = ["/", "/bkt", "/bkt/k"].randomElement(using: &random) ?? "/"
      do {
        let operation = try route(method.rawValue, path + "?" + query)
        #expect(operation == .preflightRequest || operation.rule?.method == method)
      } catch {
        #expect(error is S3Error)
      }
    }
  }
}

@Suite("Errors")
struct ErrorTests {
  @Test("codes have distinct names and statuses of errors, and are found by name")
  func codes() {
    let names = S3Error.Code.all.map(\.name)
    #expect(Set(names).count == names.count)
    for code in S3Error.Code.all {
      #expect((301...507).contains(code.status))
      #expect(S3Error.Code.named(code.name) == code)
      #expect(!code.message.isEmpty)
    }
    #expect(S3Error.Code.named("Nothing") == nil)
    #expect(S3Error.Code.named("InvalidBucketOwnerAWSAccountID")?.status == 400)
    #expect(S3Error.Code.noSuchKey.status == 404)
    #expect(S3Error.Code.missingContentLength.status == 411)
  }

  @Test(
    "the codes that signing throws are all there",
    arguments: [
      "AccessDenied", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError",
      "InvalidArgument", "InvalidRequest", "InvalidURI", "RequestTimeTooSkewed",
      "SignatureDoesNotMatch", "IncompleteBody", "InvalidChunkSizeError", "MalformedTrailerError",
    ])
  func signingCodes(name: String) {
    #expect(S3Error.Code.named(name) != nil)
  }

  @Test(
    "what XML cannot carry is left out of the document",
    arguments: ["\u{0}", "a\u{1}b", "\u{1f}", "\u{fffe}", "x\u{ffff}"])
  func unspeakable(value: String) {
    let error = S3Error(
      .noSuchKey, "No \(value)", details: [.init("Key", value), .init("Other", "a\tb")])
    #expect(
      text(error.body(resource: bytes("/bkt/" + value), requestID: "R1"))
        == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code>"
        + "<Message>The specified key does not exist.</Message><Other>a&#x9;b</Other>"
        + "<RequestId>R1</RequestId><HostId>R1</HostId></Error>")
  }

  @Test("the document escapes what the client sent")
  func body() {
    let error = S3Error.invalidArgument("No <b>", name: "max-keys", value: "a&b")
    #expect(
      text(error.body(resource: bytes("/bkt/<script>"), requestID: "R1"))
        == "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidArgument</Code>"
        + "<Message>No &lt;b&gt;</Message><ArgumentName>max-keys</ArgumentName>"
        + "<ArgumentValue>a&amp;b</ArgumentValue><Resource>/bkt/&lt;script&gt;</Resource>"
        + "<RequestId>R1</RequestId><HostId>R1</HostId></Error>")
    #expect(error.status == 400)
  }
}
