import Base
import Runtime
import Signing
import Testing

private let host = ("host", "localhost:9000")

@Suite("What a signature must cover")
struct CoverageTests {
  static let dangerous = [
    "x-amz-copy-source", "x-amz-acl", "x-amz-tagging", "x-amz-object-lock-mode",
    "x-amz-server-side-encryption", "x-amz-meta-a", "X-Amz-Copy-Source",
    "x-amz-decoded-content-length",
  ]

  @Test("an x-amz header that was not signed is refused", arguments: dangerous)
  func unsignedHeaderClass3(name: String) throws {
    var header = try TestRequest("PUT", "/b/k", [host]).signed()
    var presigned = try TestRequest("PUT", "/b/k", [host]).presigned()
    #expect(header.code() == nil)
    #expect(presigned.code() == nil)
    header.fields.append((name, "/other/secret"))
    presigned.fields.append((name, "/other/secret"))
    #expect(header.code() == .accessDenied)
    #expect(presigned.code() == .accessDenied)
    let signed = try TestRequest("PUT", "/b/k", [host, (name, "v")]).signed()
    #expect(signed.code() == nil)
  }

  @Test("the payload mode cannot be added behind the signer's back")
  func unsignedModeClass1() throws {
    let modes = [
      "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", Example.emptyHash,
    ]
    for mode in modes {
      var request = try TestRequest("PUT", "/b/k", [host]).presigned()
      #expect(request.code() == nil)
      request.fields.append(("x-amz-content-sha256", mode))
      #expect(request.code() == .accessDenied)
    }
  }

  @Test("the host must be signed")
  func hostClass3() throws {
    let signed = try TestRequest("GET", "/b/k", [("range", "bytes=0-1")]).signed()
    var request = signed
    request.fields.append(host)
    #expect(request.code() == .accessDenied)
  }

  @Test("a second header of a signed name changes the signature")
  func duplicateHeader() throws {
    var request = try TestRequest("PUT", "/b/k", [host, ("x-amz-acl", "private")]).signed()
    #expect(request.code() == nil)
    request.fields.append(("x-amz-acl", "public-read"))
    #expect(request.code() == .signatureDoesNotMatch)
    let both = try TestRequest(
      "PUT", "/b/k", [host, ("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")]
    ).signed()
    #expect(both.code() == nil)
    var joined = both
    joined.set("x-amz-meta-a", "1,2")
    #expect(joined.code() == nil)
  }

  @Test("blanks inside a value are folded before it is compared")
  func folding() throws {
    var request = try TestRequest("PUT", "/b/k", [host, ("x-amz-meta-a", "two words")]).signed()
    request.set("x-amz-meta-a", "two \t  words")
    #expect(request.code() == nil)
    request.set("x-amz-meta-a", "twowords")
    #expect(request.code() == .signatureDoesNotMatch)
  }

  @Test("method, path, query, header and payload hash are all covered")
  func tampering() throws {
    let good = try TestRequest("GET", "/b/k", query: "a=1&b=2", [host, ("range", "bytes=0-1")])
      .signed()
    #expect(good.code() == nil)
    let changes: [(inout TestRequest) -> Void] = [
      { $0.method = "DELETE" }, { $0.path = "/b/k2" }, { $0.path = "/b/./k" },
      { $0.query = "a=1&b=3" }, { $0.query = "a=1" }, { $0.query = "a=1&b=2&c=" },
      { $0.set("range", "bytes=0-2") }, { $0.set("range", nil) }, { $0.set("host", "evil") },
      { $0.set("x-amz-content-sha256", Example.emptyHash) },
      { $0.set("x-amz-date", "20130524T000001Z") },
    ]
    for change in changes {
      var request = good
      change(&request)
      #expect(request.code() == .signatureDoesNotMatch, "\(request)")
    }
  }

  @Test("equivalent spellings of path and query verify")
  func spellings() throws {
    var request = try TestRequest("GET", "/b/a%20b~", query: "b=x%2Fy&a", [host]).signed()
    #expect(request.code() == nil)
    request.path = "/b/a b%7E".replacing(" ", with: "%20")
    request.query = "a=&b=x/y"
    #expect(request.code() == nil)
  }
}

@Suite("Whether a request is signed at all")
struct MechanismTests {
  @Test("no authentication is anonymous")
  func anonymous() throws {
    #expect(try TestRequest("GET", "/b/k", query: "versionId=1", [host]).check() == nil)
  }

  @Test(
    "one parameter of a presigned URL makes all of them required",
    arguments: [
      "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date",
      "X-Amz-SignedHeaders", "X-Amz-Expires",
    ])
  func incompleteQueryClass2(name: String) throws {
    let good = try TestRequest("GET", "/b/k", [host]).presigned()
    #expect(good.code() == nil)
    var lacking = good
    let parts = good.query.split(separator: "&")
    lacking.query = parts.filter { !$0.hasPrefix("\(name)=") }.joined(separator: "&")
    #expect(lacking.code() == .authorizationQueryParametersError)
    var alone = good
    alone.query = parts.filter { $0.hasPrefix("\(name)=") }.joined(separator: "&")
    #expect(alone.code() == .authorizationQueryParametersError)
    var lowercase = good
    lowercase.query = good.query.replacing(name, with: name.lowercased())
    #expect(lowercase.code() == .authorizationQueryParametersError)
    var twice = good
    twice.query += "&" + (parts.first { $0.hasPrefix("\(name)=") } ?? "")
    #expect(twice.code() == .authorizationQueryParametersError)
  }

  @Test("a wrong signature in the query is refused for every method")
  func wrongQuerySignatureClass2() throws {
    for method in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
      var request = try TestRequest(method, "/b/k", [host]).presigned()
      #expect(request.code() == nil)
      request.query = String(request.query.dropLast(64)) + String(repeating: "0", count: 64)
      #expect(request.code() == .signatureDoesNotMatch)
    }
  }

  @Test("header and query together are refused")
  func bothClass2() throws {
    var request = try TestRequest("GET", "/b/k", [host]).signed()
    request.query = try TestRequest("GET", "/b/k", [host]).presigned().query
    #expect(request.code() == .invalidArgument)
    request.query = "X-Amz-Credential=x"
    #expect(request.code() == .invalidArgument)
  }

  @Test(
    "other mechanisms and malformed headers have a defined answer",
    arguments: [
      ("Basic dXNlcjpwYXNz", SigningError.Code.invalidArgument),
      ("", .invalidArgument),
      ("AWS AKID:c2ln", .invalidRequest),
      ("AWS4-ECDSA-P256-SHA256 Credential=a", .invalidRequest),
      ("AWS4-HMAC-SHA256", .authorizationHeaderMalformed),
      ("AWS4-HMAC-SHA256 ", .authorizationHeaderMalformed),
      ("AWS4-HMAC-SHA256 Credential=a,Credential=b", .authorizationHeaderMalformed),
      ("AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request", .authorizationHeaderMalformed),
      (
        "AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=0,X=1",
        .authorizationHeaderMalformed
      ),
      ("AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=", .authorizationHeaderMalformed),
      (
        "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,"
          + "SignedHeaders=host;host,Signature=" + String(repeating: "0", count: 64),
        .authorizationHeaderMalformed
      ),
      (
        "AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,"
          + "SignedHeaders=Host,Signature=" + String(repeating: "0", count: 64),
        .authorizationHeaderMalformed
      ),
    ])
  func malformed(value: String, code: SigningError.Code) {
    let request = TestRequest(
      "GET", "/b", [host, ("authorization", value), ("x-amz-date", Example.time)])
    #expect(request.code() == code)
  }

  @Test("two Authorization headers are refused")
  func twoHeaders() throws {
    var request = try TestRequest("GET", "/b", [host]).signed()
    request.fields.append(("authorization", "AWS4-HMAC-SHA256 x"))
    #expect(request.code() == .authorizationHeaderMalformed)
  }

  @Test("the payload hash must be there and be one of the allowed values")
  func payloadHash() throws {
    var request = try TestRequest("PUT", "/b/k", [host]).signed()
    request.set("x-amz-content-sha256", nil)
    #expect(request.code() == .invalidRequest)
    for value in ["", "UNSIGNED", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "00"] {
      request.set("x-amz-content-sha256", value)
      #expect(request.code() == .invalidArgument)
    }
  }

  @Test("a path or query that cannot be decoded is an invalid URI")
  func invalidURI() throws {
    for (path, query) in [("/b/%", ""), ("/b/%4", ""), ("/b/%zz", ""), ("/b", "a=%f")] {
      var request = try TestRequest("GET", "/b", [host]).signed()
      request.path = path
      request.query = query
      #expect(request.code() == .invalidURI)
    }
  }
}

@Suite("Time and scope")
struct TimeTests {
  @Test(
    "a signature by header holds for 15 minutes either way",
    arguments: [(0, true), (900, true), (-900, true), (901, false), (-901, false), (86_400, false)])
  func skewClass4(seconds: Int64, holds: Bool) throws {
    let request = try TestRequest("GET", "/b", [host]).signed()
    let now = Example.now.advanced(byMilliseconds: seconds * 1000)
    #expect(request.code(at: now) == (holds ? nil : .requestTimeTooSkewed))
  }

  @Test("a presigned URL holds from its date to its end")
  func presignedClass4() throws {
    let request = try TestRequest("GET", "/b/k", [host]).presigned(expirySeconds: 60)
    for (seconds, holds) in [(0, true), (60, true), (61, false), (-900, true), (-901, false)] {
      let now = Example.now.advanced(byMilliseconds: Int64(seconds) * 1000)
      #expect(request.code(at: now) == (holds ? nil : .accessDenied))
    }
  }

  @Test(
    "an expiry outside 1 to 604,800 seconds is refused",
    arguments: ["0", "-1", "604801", "99999999999999999999", "1e3", "", " 60", "+60"])
  func expiryClass4(value: String) throws {
    var request = try TestRequest("GET", "/b/k", [host]).presigned(expirySeconds: 60)
    request.query = request.query.replacing(
      "Expires=60", with: "Expires=" + PercentCoding.encode(value))
    #expect(request.code() == .authorizationQueryParametersError)
  }

  @Test("another region is refused and the right one is named")
  func regionClass4() throws {
    let request = try TestRequest("GET", "/b", [host]).signed(region: "eu-west-1")
    let error = #expect(throws: SigningError.self) { try request.check() }
    #expect(error?.code == .authorizationHeaderMalformed)
    #expect(error?.details.first?.name == "Region")
    #expect(error?.details.first?.value == "us-east-1")
    #expect(error?.message.contains("expecting 'us-east-1'") == true)
  }

  @Test("another service, terminal or day is refused")
  func scopeClass4() throws {
    let iam = try TestRequest("GET", "/b", [host]).signed(service: "iam")
    #expect(iam.code() == .authorizationHeaderMalformed)
    var request = try TestRequest("GET", "/b", [host]).signed()
    let value = request.fields.first { $0.0 == "Authorization" }?.1 ?? ""
    for (old, new) in [
      ("aws4_request", "aws3_request"), ("20130524", "20130523"), ("20130524", "2013052x"),
    ] {
      request.set("Authorization", value.replacing(old, with: new))
      #expect(request.code() == .authorizationHeaderMalformed)
    }
  }

  @Test("without a date, or with two, or a wrong one, access is denied")
  func dateClass4() throws {
    var request = try TestRequest("GET", "/b", [host]).signed()
    request.set("x-amz-date", nil)
    #expect(request.code() == .accessDenied)
    for value in ["", "20130524", "20130524T000000", "20131324T000000Z", "Fri, 24 May 2013"] {
      request.set("x-amz-date", value)
      #expect(request.code() == .accessDenied)
    }
  }

  @Test("the Date header serves when x-amz-date is not sent")
  func dateHeader() throws {
    let date = Example.now.httpDate
    let signer = RequestSigner(
      accessKeyID: Example.accessKey, secretKey: Example.secretKey, region: "us-east-1")
    let signed = try signer.sign(
      method: "GET", rawPath: "/b", fields: [.init("host", "h"), .init("date", date)],
      payload: .unsigned, now: Example.now)
    var request = TestRequest("GET", "/b", [])
    request.fields = signed.fields.map {
      (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
    }
    request.set("x-amz-date", nil)
    // The signature covered x-amz-date, so it cannot match; but the date was read.
    #expect(request.code() == .signatureDoesNotMatch)
  }
}

@Suite("Keys and their cache")
struct SigningKeyCacheTests {
  @Test("the cache gives the key that derivation gives, and stays within its bound")
  func cache() throws {
    let request = try TestRequest("GET", "/b", [host]).signed()
    let signed = try #require(try Example.verifier.parse(request.unverified, now: Example.now))
    let ownScope = try #require(signed.scope)
    let cache = SigningKeyCache(capacity: 4)
    for index in 0..<100 {
      let scope = CredentialScope(date: "2026\(1000 + index)", region: "r")
      _ = cache.key(secretKey: "s\(index % 7)", scope: scope)
      #expect(cache.count <= 8)
      #expect(throws: Never.self) {
        try signed.verify(cache.key(secretKey: Example.secretKey, scope: ownScope))
      }
    }
    #expect(throws: SigningError.self) {
      try signed.verify(cache.key(secretKey: "other", scope: ownScope))
    }
  }
}

@Suite("Hostile input")
struct SigningFuzzTests {
  @Test("any bytes give a defined answer and never a valid signature", arguments: 0..<8)
  func fuzzClass24(seed: UInt64) throws {
    print("Signing fuzz seed \(seed)")
    var random = SeededRandom(seed: seed)
    let header = try TestRequest("PUT", "/b/k", query: "a=b", [host, ("x-amz-meta-a", "b")])
      .signed()
    let presigned = try TestRequest("GET", "/b/k%20", [host]).presigned()
    for _ in 0..<400 {
      for original in [header, presigned] {
        var request = original
        switch Int.random(in: 0..<3, using: &random) {
        case 0: request.path = mutate(request.path, &random)
        case 1: request.query = mutate(request.query, &random)
        default:
          let index = Int.random(in: 0..<request.fields.count, using: &random)
          request.fields[index].1 = mutate(request.fields[index].1, &random)
        }
        _ = request.code()
      }
      for original in Version2Tests.examples {
        var request = original
        if Bool.random(using: &random) {
          request.query = mutate(request.query, &random)
        } else {
          request.path = mutate(request.path, &random)
        }
        _ = request.code(at: Version2Tests.now, key: Version2Tests.secret)
      }
      var garbage = TestRequest("GET", "/", [host])
      garbage.set("authorization", "AWS4-HMAC-SHA256 " + mutate("a=b,c/d;e=", &random))
      #expect(garbage.code() != nil)
    }
  }

  private func mutate(_ text: String, _ random: inout SeededRandom) -> String {
    var bytes = Array(text.utf8)
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let index = Int.random(in: 0...bytes.count, using: &random)
      if index < bytes.count && Bool.random(using: &random) {
        bytes[index] = UInt8.random(in: 0...127, using: &random)
      } else {
        bytes.insert(
          contentsOf: Array("%&=;,/ ".utf8).shuffled(using: &random).prefix(2), at: index)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
