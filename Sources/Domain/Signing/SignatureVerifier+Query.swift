internal import Base

extension SignatureVerifier {
  /// Reads a request signed by its query parameters.
  func parseQuery(
    _ request: UnverifiedRequest, _ query: CanonicalQuery, _ now: Timestamp
  ) throws(SigningError) -> SignedRequest {
    let algorithm = try parameter("X-Amz-Algorithm", "x-amz-algorithm", query)
    let rawCredential = try parameter("X-Amz-Credential", "x-amz-credential", query)
    let rawSignature = try parameter("X-Amz-Signature", "x-amz-signature", query)
    let date = try parameter("X-Amz-Date", "x-amz-date", query)
    let rawHeaders = try parameter("X-Amz-SignedHeaders", "x-amz-signedheaders", query)
    let rawExpiry = try parameter("X-Amz-Expires", "x-amz-expires", query)
    guard algorithm.elementsEqual("AWS4-HMAC-SHA256".utf8) else {
      throw .malformed(
        presigned: true, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
    }
    let credential = try Credential(rawCredential, presigned: true)
    try credential.check(region: region, service: service, presigned: true)
    let signature = try AuthorizationHeader.signature(rawSignature, presigned: true)
    guard date.count == 16,
      let time = Timestamp(basicISO8601: String(decoding: date, as: UTF8.self))
    else {
      throw .malformed(
        presigned: true,
        "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    }
    let text = time.basicISO8601
    guard text.hasPrefix(credential.scope.date) else {
      throw .malformed(
        presigned: true,
        "Invalid credential date \"\(credential.scope.date)\". This date is not the same as "
          + "X-Amz-Date: \"\(text.prefix(8))\".")
    }
    let expiry = try Self.expiry(rawExpiry)
    try Self.checkValidity(time: time, expirySeconds: expiry, now: now)
    let signedHeaders = try SignedHeaders(rawHeaders, presigned: true)
    try signedHeaders.check(request)
    let hashParameter = try optional("X-Amz-Content-Sha256", "x-amz-content-sha256", query)
    let hash =
      request.first("x-amz-content-sha256") ?? hashParameter
      ?? Array(PayloadMode.unsigned.headerValue.utf8)[...]
    let mode = try payloadMode(hash, request)
    let tokenParameter = try optional("X-Amz-Security-Token", "x-amz-security-token", query)
    let token = try sessionToken(
      tokenParameter ?? request.first("x-amz-security-token"), presigned: true)
    let coverage = try SignedVersion4(
      request, query: query, scope: credential.scope, presigned: true,
      signedHeaders: signedHeaders, time: text, payloadHash: hash)
    return SignedRequest(
      credential: credential, coverage: coverage, signature: signature, payload: mode,
      expires: time.advanced(byMilliseconds: Int64(expiry) * 1000), sessionToken: token)
  }

  private func parameter(
    _ name: String, _ lowercase: String, _ query: CanonicalQuery
  ) throws(SigningError) -> ArraySlice<UInt8> {
    guard let value = try optional(name, lowercase, query), !value.isEmpty else {
      throw .malformed(
        presigned: true,
        "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
          + "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
    }
    return value
  }

  /// The value of a parameter that must not come twice, in whatever letter case.
  func optional(
    _ name: String, _ lowercase: String, _ query: CanonicalQuery
  ) throws(SigningError) -> ArraySlice<UInt8>? {
    guard query.count(of: lowercase) <= 1 else {
      throw .malformed(presigned: true, "\(name) must not be given more than once.")
    }
    return query.value(name)
  }

  private static func expiry(_ raw: ArraySlice<UInt8>) throws(SigningError) -> Int {
    if raw.first == UInt8(ascii: "-") {
      throw .malformed(presigned: true, "X-Amz-Expires must be non-negative")
    }
    guard raw.count <= 18, raw.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      throw .malformed(presigned: true, "X-Amz-Expires should be a number")
    }
    let value = raw.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    guard value <= maximumExpirySeconds else {
      throw .malformed(
        presigned: true,
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
          + "must be less than 604800 seconds")
    }
    guard value > 0 else {
      throw .malformed(presigned: true, "X-Amz-Expires must be at least 1")
    }
    return value
  }

  private static func checkValidity(
    time: Timestamp, expirySeconds: Int, now: Timestamp
  ) throws(SigningError) {
    guard time.milliseconds - now.milliseconds <= maximumSkewMilliseconds else {
      throw SigningError(
        .accessDenied, "Request is not valid yet",
        details: [.init("X-Amz-Date", time.basicISO8601), .init("ServerTime", now.iso8601)])
    }
    let end = time.advanced(byMilliseconds: Int64(expirySeconds) * 1000)
    try checkEnd(end, now: now, [.init("X-Amz-Expires", "\(expirySeconds)")])
  }

  /// Throws `AccessDenied` when a presigned URL has ended.
  static func checkEnd(
    _ end: Timestamp, now: Timestamp, _ details: [SigningError.Detail] = []
  ) throws(SigningError) {
    guard now <= end else {
      throw SigningError(
        .accessDenied, "Request has expired",
        details: details + [.init("Expires", end.iso8601), .init("ServerTime", now.iso8601)])
    }
  }
}
