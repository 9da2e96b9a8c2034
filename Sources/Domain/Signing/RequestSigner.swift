public import Base
internal import Crypto

/// Signs requests as a client does: for presigned URLs, the command line, tests and benchmarks.
public struct RequestSigner: Sendable {
  /// Whose key signs.
  public let accessKeyID: String
  private let secretKey: String
  private let region: String
  private let service: String

  /// Makes a signer of one key pair.
  public init(
    accessKeyID: String, secretKey: String, region: String, service: String = "s3"
  ) {
    self.accessKeyID = accessKeyID
    self.secretKey = secretKey
    self.region = region
    self.service = service
  }

  /// A request signed by header.
  public struct SignedByHeader: Sendable {
    /// The fields to send: those given, and the ones that signing adds.
    public var fields: [UnverifiedRequest.Field]
    /// Signs the chunks of the body, where the payload mode is a signed streaming one.
    public var chunkSigner: ChunkSigner
  }

  /// Signs by header. All fields given are signed; among them must be `host`.
  ///
  /// - Parameters:
  ///   - rawPath: the encoded path as it will be sent.
  ///   - rawQuery: the encoded query as it will be sent, without `?`.
  ///   - fields: the header fields to sign, without `x-amz-date` and `x-amz-content-sha256`.
  public func sign(
    method: String, rawPath: String, rawQuery: String = "", fields: [UnverifiedRequest.Field],
    payload: PayloadMode, now: Timestamp
  ) throws(SigningError) -> SignedByHeader {
    let time = now.basicISO8601
    let scope = CredentialScope(date: now.basicDate, region: region, service: service)
    var all = fields
    all.append(.init("x-amz-date", time))
    all.append(.init("x-amz-content-sha256", payload.headerValue))
    let request = UnverifiedRequest(
      method: method, rawPath: Array(rawPath.utf8)[...], rawQuery: Array(rawQuery.utf8)[...],
      fields: all)
    let names = Self.signedHeaders(all)
    let canonical = try CanonicalRequest.make(
      request, query: CanonicalQuery(request.rawQuery), presigned: false,
      signedHeaders: SignedHeaders(Array(names.utf8)[...], presigned: false),
      payloadHash: payload.headerValue.utf8)
    let key = SigningKey(secretKey: secretKey, scope: scope)
    let signature = key.signature(
      of: CanonicalRequest.stringToSign(canonical, time: time, scope: scope))
    all.append(
      .init(
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope.text), SignedHeaders=\(names), "
          + "Signature=\(Hex.encode(signature))"))
    return SignedByHeader(
      fields: all,
      chunkSigner: ChunkSigner(key: key, time: time, scope: scope, seed: signature))
  }

  /// The query of a presigned URL, without `?`.
  ///
  /// - Parameters:
  ///   - rawPath: the encoded path as it will be sent.
  ///   - parameters: further parameters, not encoded; they are signed too.
  ///   - fields: the header fields that whoever uses the URL must send; among them must be `host`.
  ///   - expirySeconds: 1 to 604,800.
  public func presignedQuery(
    method: String, rawPath: String, parameters: [(name: String, value: String)] = [],
    fields: [UnverifiedRequest.Field], expirySeconds: Int, now: Timestamp
  ) throws(SigningError) -> String {
    guard (1...SignatureVerifier.maximumExpirySeconds).contains(expirySeconds) else {
      throw .malformed(presigned: true, "X-Amz-Expires must be 1 to 604800 seconds")
    }
    let time = now.basicISO8601
    let scope = CredentialScope(date: now.basicDate, region: region, service: service)
    let names = Self.signedHeaders(fields)
    let all =
      parameters + [
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", "\(accessKeyID)/\(scope.text)"), ("X-Amz-Date", time),
        ("X-Amz-Expires", "\(expirySeconds)"), ("X-Amz-SignedHeaders", names),
      ]
    let query = all.map { "\(PercentCoding.encode($0.0))=\(PercentCoding.encode($0.1))" }
      .joined(separator: "&")
    let request = UnverifiedRequest(
      method: method, rawPath: Array(rawPath.utf8)[...], rawQuery: Array(query.utf8)[...],
      fields: fields)
    let canonical = try CanonicalRequest.make(
      request, query: CanonicalQuery(request.rawQuery), presigned: true,
      signedHeaders: SignedHeaders(Array(names.utf8)[...], presigned: true),
      payloadHash: PayloadMode.unsigned.headerValue.utf8)
    let signature = SigningKey(secretKey: secretKey, scope: scope).signature(
      of: CanonicalRequest.stringToSign(canonical, time: time, scope: scope))
    return "\(query)&X-Amz-Signature=\(Hex.encode(signature))"
  }

  private static func signedHeaders(_ fields: [UnverifiedRequest.Field]) -> String {
    Set(fields.map { String(decoding: $0.name, as: UTF8.self).lowercased() }).sorted()
      .joined(separator: ";")
  }
}
