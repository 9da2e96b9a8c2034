import Base
import Signing
import Testing

/// URLs that were signed with version 2, and how they may be changed.
@Suite("Presigned URLs of version 2")
struct Version2Tests {
  static let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
  /// When the examples were signed; they end an hour later.
  static let now = Timestamp(seconds: 1_767_323_045)
  static let hour: Int64 = 3_600_000

  /// A URL that botocore made: its `HmacV1QueryAuth`, by `generate_presigned_url`.
  static func botocore(
    _ method: String, _ path: String, _ own: String, _ signature: String, _ rest: String = "",
    hostBucket: String? = nil
  ) -> TestRequest {
    var query = own.isEmpty ? "" : own + "&"
    query += "AWSAccessKeyId=AKIDEXAMPLE&Signature=\(signature)\(rest)&Expires=1767326645"
    var request = TestRequest(method, path, query: query, [("Host", "localhost:9000")])
    request.hostBucket = hostBucket
    return request
  }

  static let get = botocore(
    "GET", "/bucket/a%20b/%2B%C3%A9//x~%21%27%28%29%2A", "", "Zug5GD02kRmfB44KfgrAKF4lbr0%3D")
  static let put = botocore(
    "PUT", "/bucket/k", "", "VL4%2FbK%2BSW1uXYdJZtk1DH3d2gGI%3D",
    "&content-type=text%2Fplain&x-amz-meta-a=b%20c&x-amz-meta-b=2&x-amz-acl=private"
      + "&content-md5=XrY7u%2BAe7tCTyyK7j1rNww%3D%3D")
  static let part = botocore(
    "PUT", "/bucket/k", "uploadId=u%2B%2F%3D&partNumber=3", "IJDpgbXAAahSAs2jM89Sii4W48M%3D")
  static let overrides = botocore(
    "GET", "/k",
    "response-content-disposition=attachment%3B%20filename%3D%22a%20b%2B%C3%A9.txt%22"
      + "&response-content-type=a%2Fb&versionId=null",
    "QhU%2BkxTei4Yfe1stP%2BbdLXNWUXE%3D", hostBucket: "bucket")
  static let list = "list-type=2&prefix=a%20b&encoding-type=url"
  static let copy = botocore(
    "PUT", "/bucket/k", "", "Go6B4SNWR53bbdnofXs8M6fSO7E%3D",
    "&x-amz-copy-source=bucket%2Fa%2520b")

  static let examples = [
    get, put, part, overrides, copy,
    botocore("GET", "/bucket", list, "a%2BKanbvDX7JnzBtuYg70ZyGA4Bc%3D"),
    botocore("GET", "/", list, "a%2BKanbvDX7JnzBtuYg70ZyGA4Bc%3D", hostBucket: "bucket"),
    botocore("POST", "/k", "uploads", "f%2BeEsue8f8RMVdB9WhxMpR43PLg%3D", hostBucket: "bucket"),
  ]

  static func code(
    _ request: TestRequest, at now: Timestamp = now, key: String = secret
  ) -> SigningError.Code? {
    request.code(at: now, key: key)
  }

  /// The code after a change, which must change something.
  static func code(
    _ request: TestRequest, replacing text: String, with other: String
  ) throws -> SigningError.Code? {
    var changed = request
    changed.query = request.query.replacing(text, with: other)
    try #require(changed.query != request.query)
    return code(changed)
  }

  @Test("the example of AWS's documentation verifies")
  func published() throws {
    var request = TestRequest(
      "GET", "/photos/puppy.jpg",
      query: "AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620"
        + "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D",
      [("Host", "johnsmith.s3.amazonaws.com")])
    request.hostBucket = "johnsmith"
    let now = Timestamp(seconds: 1_175_139_620)
    let signed = try #require(try request.check(at: now))
    #expect(signed.accessKeyID == Example.accessKey && signed.version == .version2)
    #expect(signed.isPresigned && signed.expires == now && signed.scope == nil)
    #expect(signed.payload == .unsigned && signed.sessionToken == nil)
    // In path style it names the same object, elsewhere another.
    request.hostBucket = nil
    #expect(request.code(at: now) == .signatureDoesNotMatch)
    request.path = "/johnsmith/photos/puppy.jpg"
    #expect(request.code(at: now) == nil)
  }

  @Test("botocore's URLs verify with their own secret only", arguments: examples.indices)
  func otherSigner(index: Int) throws {
    let request = Self.examples[index]
    #expect(Self.code(request) == nil)
    #expect(Self.code(request, key: "wrong") == .signatureDoesNotMatch)
    let signed = try #require(
      try Example.verifier.parse(request.unverified, now: Self.now))
    let scope = CredentialScope(date: "20260102", region: "us-east-1")
    #expect(throws: SigningError.self) {
      try signed.verify(SigningKey(secretKey: Self.secret, scope: scope))
    }
    #expect(signed.chunkSigner(SigningKey(version2: Self.secret)) == nil)
  }

  @Test("each part of what is signed counts", arguments: examples.indices)
  func tampering(index: Int) throws {
    let good = Self.examples[index]
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] where method != good.method {
      var request = good
      request.method = method
      #expect(Self.code(request) == .signatureDoesNotMatch)
    }
    for change: (inout TestRequest) -> Void in [
      { $0.path += "x" }, { $0.path = "/other" + $0.path }, { $0.hostBucket = "other" },
      { $0.query += "&uploadId=1" }, { $0.query += "&acl" }, { $0.query += "&versionId=1" },
      { $0.query += "&delete" }, { $0.query += "&response-expires=0" },
      { $0.query += "&%75ploads" }, { $0.query += "&x-amz-meta-c=1" },
      { $0.query += "&X-Amz-Copy-Source=%2Fbucket%2Fsecret" },
      { $0.fields.append(("X-Amz-Meta-C", "1")) },
      { $0.query = $0.query.replacing("Expires=1767326645", with: "Expires=1767326646") },
    ] {
      var request = good
      change(&request)
      let code = Self.code(request)
      // Where there is such a header already, a second one is refused before.
      #expect(
        code == .signatureDoesNotMatch || code == .authorizationQueryParametersError,
        "\(request)")
    }
    // What version 2 does not sign: a list's parameters, and what nobody reads.
    var request = good
    request.query += "&prefix=b&nonsense"
    #expect(Self.code(request) == nil)
  }

  @Test("headers are covered, whether they come by the URL, as headers or both")
  func headers() throws {
    var moved = Self.put
    moved.query =
      "AWSAccessKeyId=AKIDEXAMPLE&Signature=VL4%2FbK%2BSW1uXYdJZtk1DH3d2gGI%3D"
      + "&Expires=1767326645"
    #expect(Self.code(moved) == .signatureDoesNotMatch)
    moved.fields += [
      ("Content-Type", "text/plain"), ("Content-MD5", "XrY7u+Ae7tCTyyK7j1rNww=="),
      ("X-Amz-Meta-A", "b c"), ("x-amz-acl", "private"), ("x-amz-meta-b", "2"),
      ("x-amz-cf-id", "added on the way"), ("Range", "bytes=0-1"),
    ]
    #expect(Self.code(moved) == nil)
    moved.set("Content-Type", "text/html")
    #expect(Self.code(moved) == .signatureDoesNotMatch)
    var both = Self.put
    both.fields += [("content-type", "text/plain"), ("x-amz-acl", "private")]
    #expect(Self.code(both) == nil)
    both.set("x-amz-acl", "public-read")
    #expect(Self.code(both) == .authorizationQueryParametersError)
  }

  @Test(
    "a header in the URL is never read as another one than was signed",
    arguments: [
      ("x-amz-meta-a=b%20c&x-amz-meta-b=2", "x-amz-meta-a=b%20c%0Ax-amz-meta-b:2"),
      ("x-amz-meta-a=b%20c&x-amz-meta-b=2", "x-amz-meta-a:b%20c%0Ax-amz-meta-b=2"),
      ("x-amz-acl=private", "x-amz-acl:priv=ate"),
      ("x-amz-acl=private", "x-amz-acl=private&x-amz-acl=private"),
      ("x-amz-acl=private", "x-amz-acl=private&X-AMZ-ACL=public-read"),
      ("content-type=text%2Fplain", "content-type=text%2Fplain%0D"),
    ])
  func ambiguous(original: String, changed: String) throws {
    #expect(
      try Self.code(Self.put, replacing: original, with: changed)
        == .authorizationQueryParametersError)
  }

  @Test("sub-resources and overrides count with their values, in whatever order they come")
  func subresources() throws {
    #expect(
      try Self.code(
        Self.part, replacing: "uploadId=u%2B%2F%3D&partNumber=3",
        with: "partNumber=3&uploadId=u%2B%2F%3D") == nil)
    for (original, changed) in [
      ("partNumber=3", "partNumber=4"), ("partNumber=3", "partNumber"),
      ("partNumber=3", "partnumber=3"), ("partNumber=3", "partNumber=2&partNumber=3"),
    ] {
      #expect(
        try Self.code(Self.part, replacing: original, with: changed) == .signatureDoesNotMatch)
    }
    #expect(
      try Self.code(Self.overrides, replacing: "a%2Fb", with: "text%2Fhtml")
        == .signatureDoesNotMatch)
  }

  @Test("it ends when it says, and never later than one of version 4 could")
  func expiry() throws {
    let end = Self.now.advanced(byMilliseconds: Self.hour)
    #expect(Self.code(Self.get, at: end) == nil)
    #expect(Self.code(Self.get, at: end.advanced(byMilliseconds: 1)) == .accessDenied)
    let most =
      Int64(SignatureVerifier.maximumExpirySeconds) * 1000
      + SignatureVerifier.maximumSkewMilliseconds
    let first = end.advanced(byMilliseconds: -most)
    #expect(Self.code(Self.get, at: first) == nil)
    #expect(
      Self.code(Self.get, at: first.advanced(byMilliseconds: -1000))
        == .authorizationQueryParametersError)
  }

  @Test(
    "ends that are none are refused",
    arguments: [
      ("-1", SigningError.Code.accessDenied), ("", .accessDenied), ("soon", .accessDenied),
      ("1767326645.5", .accessDenied), ("+1767326645", .accessDenied), ("%00", .accessDenied),
      ("9999999999999999999999", .accessDenied), ("0", .accessDenied),
      ("999999999999999999", .authorizationQueryParametersError),
    ])
  func ends(text: String, code: SigningError.Code) throws {
    #expect(try Self.code(Self.get, replacing: "=1767326645", with: "=\(text)") == code)
  }

  @Test("all three parameters are needed, once each and spelled right")
  func parameters() throws {
    for name in ["AWSAccessKeyId", "Signature", "Expires"] {
      let pieces = Self.get.query.split(separator: "&")
      var request = Self.get
      request.query = pieces.filter { !$0.hasPrefix("\(name)=") }.joined(separator: "&")
      #expect(Self.code(request) == .accessDenied)
      request.query = Self.get.query + "&" + (pieces.first { $0.hasPrefix("\(name)=") } ?? "")
      #expect(Self.code(request) == .authorizationQueryParametersError)
      request.query = Self.get.query.replacing(name, with: name.lowercased())
      #expect(Self.code(request) == .accessDenied)
    }
    var alone = Self.get
    alone.query = "Expires=1767326645"
    #expect(try alone.check(at: Self.now) == nil)
  }

  @Test("what is no signature matches none")
  func signatures() throws {
    for other in [
      "x", "%FF", "Zug5GD02kRmfB44KfgrAKF4lbr1%3D", String(repeating: "A", count: 4000),
    ] {
      #expect(
        try Self.code(Self.get, replacing: "Zug5GD02kRmfB44KfgrAKF4lbr0%3D", with: other)
          == .signatureDoesNotMatch)
    }
  }

  @Test("no other authentication goes with it")
  func mechanisms() throws {
    var header = Self.get
    header.fields.append(("Authorization", "AWS AKIDEXAMPLE:c2ln"))
    #expect(Self.code(header) == .invalidArgument)
    var both = Self.get
    both.query += "&X-Amz-Signature=00"
    #expect(Self.code(both) == .authorizationQueryParametersError)
  }

  @Test("the payload may be covered by its digest and not by signed chunks")
  func payload() throws {
    for (value, code) in [
      (Example.emptyHash, SigningError.Code.signatureDoesNotMatch),
      ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", .invalidArgument),
      ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", .invalidArgument),
      ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", .signatureDoesNotMatch), ("x", .invalidArgument),
    ] {
      var request = Self.put
      request.fields.append(("x-amz-content-sha256", value))
      #expect(Self.code(request) == code)
    }
    let digest = TestRequest(
      "PUT", "/bucket/k",
      query:
        "AWSAccessKeyId=AKIDEXAMPLE&Signature=36Wcee9HiIS0KI3h7IC2pDcQ8ck%3D&Expires=1767326645",
      [("x-amz-content-sha256", Example.emptyHash)])
    let empty = try #require(Hex.decode(Example.emptyHash).flatMap { SHA256Digest($0) })
    #expect(try digest.check(at: Self.now, key: Self.secret)?.payload == .digest(empty))
  }

  @Test("the token of temporary credentials is signed and read")
  func token() throws {
    let request = TestRequest(
      "GET", "/",
      query: "AWSAccessKeyId=AKIDEXAMPLE&Signature=hNfWJjP%2F%2BJiiQypAlJRAl5e3cVA%3D"
        + "&x-amz-security-token=to%2Fken%2B&Expires=1767326645", [])
    #expect(try request.check(at: Self.now, key: Self.secret)?.sessionToken == "to/ken+")
    #expect(
      try Self.code(request, replacing: "to%2F", with: "to") == .signatureDoesNotMatch)
  }
}
