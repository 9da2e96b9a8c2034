public import Base

/// Checks AWS Signature Version 4 as the server: of the Authorization header or of a presigned URL,
/// over the bytes that came over the wire; and Version 2 of a presigned URL.
///
/// Two steps, so that the secret can be fetched in between: `parse` checks everything that needs no
/// secret and says whose request it claims to be; `SignedRequest.verify` checks the signature.
public struct SignatureVerifier: Sendable {
  /// How far a request's time may be from the server's, either way: 15 minutes.
  public static let maximumSkewMilliseconds: Int64 = 900_000
  /// The longest life of a presigned URL in seconds: seven days.
  public static let maximumExpirySeconds = 604_800

  /// The region that requests must be signed for.
  public let region: String
  /// The service that requests must be signed for.
  public let service: String

  /// Makes a verifier.
  public init(region: String, service: String = "s3") {
    self.region = region
    self.service = service
  }

  /// Reads the signature of a request and checks scope, time and coverage; nil when the request
  /// carries no authentication at all.
  ///
  /// What it returns is not verified yet: nothing of it may be acted upon before `verify`.
  public func parse(
    _ request: UnverifiedRequest, now: Timestamp
  ) throws(SigningError) -> SignedRequest? {
    let query = try CanonicalQuery(request.rawQuery)
    let hasQuery = Self.queryNames.contains { query.count(of: $0) > 0 }
    let hasVersion2 = Self.version2Names.contains { query.count(of: $0) > 0 }
    let headerCount = request.count(of: "authorization")
    if (hasQuery || hasVersion2) && headerCount > 0 {
      throw SigningError(
        .invalidArgument,
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
          + "query string parameter or the Authorization header should be specified",
        details: [.init("ArgumentName", "Authorization")])
    }
    if hasQuery { return try parseQuery(request, query, now) }
    if hasVersion2 { return try parseVersion2(request, query, now) }
    guard headerCount > 0 else { return nil }
    guard headerCount == 1 else {
      throw .malformed(presigned: false, "There is more than one Authorization header.")
    }
    return try parseHeader(request, query, now)
  }

  static let unsupported = SigningError(
    .invalidRequest,
    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")

  /// Any of these in a query makes a request one that claims to be presigned.
  private static let queryNames = [
    "x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-signedheaders",
    "x-amz-expires", "x-amz-date",
  ]

  /// The same of version 2; without these, `Expires` says nothing.
  private static let version2Names = ["awsaccesskeyid", "signature"]
}
