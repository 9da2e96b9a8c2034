internal import Base

extension SignatureVerifier {
  /// Reads a request signed by the query parameters of version 2.
  ///
  /// `Expires` is the end itself and says nothing of the beginning: it is at most as far away as
  /// that of version 4 may be, signed by a clock that is as much ahead as is allowed.
  func parseVersion2(
    _ request: UnverifiedRequest, _ query: CanonicalQuery, _ now: Timestamp
  ) throws(SigningError) -> SignedRequest {
    guard let id = try optional("AWSAccessKeyId", "awsaccesskeyid", query), !id.isEmpty,
      let rawSignature = try optional("Signature", "signature", query), !rawSignature.isEmpty,
      let rawEnd = try optional("Expires", "expires", query), !rawEnd.isEmpty
    else {
      throw SigningError(
        .accessDenied,
        "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    }
    guard id.count <= Credential.maximumKeyBytes, id.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .malformed(presigned: true, "The AWSAccessKeyId is mal-formed.")
    }
    let end = try Self.end(rawEnd, now)
    try Self.checkEnd(end, now: now)
    let headers = try Version2Headers(request, query)
    let payload = try version2Payload(headers.value("x-amz-content-sha256"), request)
    let token = try sessionToken(headers.value("x-amz-security-token"), presigned: true)
    // What is no signature at all matches none.
    let signature =
      rawSignature.count <= 64
      ? Base64.decode(String(decoding: rawSignature, as: UTF8.self)) ?? [] : []
    return SignedRequest(
      accessKeyID: String(decoding: id, as: UTF8.self),
      coverage: try SignedVersion2(request, query: query, headers: headers, expires: rawEnd),
      signature: signature, payload: payload, expires: end, sessionToken: token)
  }

  /// How the body is covered: not at all, unless a header that is signed says more.
  private func version2Payload(
    _ hash: ArraySlice<UInt8>?, _ request: UnverifiedRequest
  ) throws(SigningError) -> PayloadMode {
    guard let hash else { return .unsigned }
    let mode = try payloadMode(hash, request)
    guard mode != .signedChunks && mode != .signedChunksAndTrailer else {
      throw SigningError(
        .invalidArgument, "The chunks of a body are signed with AWS4-HMAC-SHA256 only.",
        details: [.init("ArgumentName", "x-amz-content-sha256")])
    }
    return mode
  }

  private static func end(
    _ raw: ArraySlice<UInt8>, _ now: Timestamp
  ) throws(SigningError) -> Timestamp {
    guard raw.count <= 18, raw.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      throw SigningError(.accessDenied, "Invalid date (should be seconds since epoch)")
    }
    let seconds = raw.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
    let latest = now.seconds + maximumSkewMilliseconds / 1000 + Int64(maximumExpirySeconds)
    guard seconds <= latest else {
      throw .malformed(
        presigned: true,
        "Expires must be less than a week (in seconds) from now; that is, less than 604800 seconds")
    }
    return Timestamp(seconds: seconds)
  }
}
