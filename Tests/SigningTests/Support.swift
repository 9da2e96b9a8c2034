import Base
import Signing

/// The credentials and the moment of the examples in AWS's documentation.
enum Example {
  static let accessKey = "AKIAIOSFODNN7EXAMPLE"
  static let secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
  static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  static let now = Timestamp(seconds: 1_369_353_600)
  static let time = "20130524T000000Z"
  static let verifier = SignatureVerifier(region: "us-east-1")

  static func authorization(_ signedHeaders: String, _ signature: String) -> String {
    "AWS4-HMAC-SHA256 Credential=\(accessKey)/20130524/us-east-1/s3/aws4_request,"
      + "SignedHeaders=\(signedHeaders),Signature=\(signature)"
  }
}

/// A request whose parts tests change one at a time.
struct TestRequest {
  var method: String
  var path: String
  var query: String
  var fields: [(String, String)]
  /// The bucket that the host names.
  var hostBucket: String?

  init(_ method: String, _ path: String, query: String = "", _ fields: [(String, String)]) {
    self.method = method
    self.path = path
    self.query = query
    self.fields = fields
  }

  var unverified: UnverifiedRequest {
    UnverifiedRequest(
      method: method, rawPath: Array(path.utf8)[...], rawQuery: Array(query.utf8)[...],
      fields: fields.map { UnverifiedRequest.Field($0.0, $0.1) }, hostBucket: hostBucket)
  }

  mutating func set(_ name: String, _ value: String?) {
    fields.removeAll { $0.0 == name }
    if let value { fields.append((name, value)) }
  }

  /// The same request with a fresh signature by header over all its fields.
  func signed(
    at now: Timestamp = Example.now, payload: PayloadMode = .unsigned,
    key: String = Example.secretKey, region: String = "us-east-1", service: String = "s3"
  ) throws -> TestRequest {
    let signer = RequestSigner(
      accessKeyID: Example.accessKey, secretKey: key, region: region, service: service)
    let result = try signer.sign(
      method: method, rawPath: path, rawQuery: query,
      fields: fields.map { UnverifiedRequest.Field($0.0, $0.1) }, payload: payload, now: now)
    var copy = self
    copy.fields = result.fields.map {
      (String(decoding: $0.name, as: UTF8.self), String(decoding: $0.value, as: UTF8.self))
    }
    return copy
  }

  /// The same request as a presigned URL.
  func presigned(
    at now: Timestamp = Example.now, expirySeconds: Int = 3600, key: String = Example.secretKey
  ) throws -> TestRequest {
    let signer = RequestSigner(
      accessKeyID: Example.accessKey, secretKey: key, region: "us-east-1")
    var copy = self
    copy.query = try signer.presignedQuery(
      method: method, rawPath: path,
      fields: fields.map { UnverifiedRequest.Field($0.0, $0.1) }, expirySeconds: expirySeconds,
      now: now)
    return copy
  }

  /// Parses and verifies; throws what the server would answer.
  @discardableResult
  func check(
    at now: Timestamp = Example.now, key: String = Example.secretKey,
    _ verifier: SignatureVerifier = Example.verifier
  ) throws -> SignedRequest? {
    guard let signed = try verifier.parse(unverified, now: now) else { return nil }
    if let scope = signed.scope {
      try signed.verify(SigningKey(secretKey: key, scope: scope))
    } else {
      try signed.verify(SigningKey(version2: key))
    }
    return signed
  }

  /// The code that checking throws; nil when it does not.
  func code(
    at now: Timestamp = Example.now, key: String = Example.secretKey
  ) -> SigningError.Code? {
    do {
      try check(at: now, key: key)
      return nil
    } catch {
      return (error as? SigningError)?.code
    }
  }
}
