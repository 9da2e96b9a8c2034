internal import Base

extension SignatureVerifier {
  /// Reads a request signed by its Authorization header.
  func parseHeader(
    _ request: UnverifiedRequest, _ query: CanonicalQuery, _ now: Timestamp
  ) throws(SigningError) -> SignedRequest {
    let header = try AuthorizationHeader(request.first("authorization") ?? [])
    let credential = try Credential(header.credential, presigned: false)
    try credential.check(region: region, service: service, presigned: false)
    let signedHeaders = try SignedHeaders(header.signedHeaders, presigned: false)
    try signedHeaders.check(request)
    let time = try requestTime(request)
    let text = time.basicISO8601
    guard text.hasPrefix(credential.scope.date) else {
      throw .malformed(
        presigned: false,
        "Invalid credential date \"\(credential.scope.date)\". This date is not the same as "
          + "X-Amz-Date: \"\(text.prefix(8))\".")
    }
    guard (now.milliseconds - time.milliseconds).magnitude <= Self.maximumSkewMilliseconds else {
      throw SigningError(
        .requestTimeTooSkewed,
        "The difference between the request time and the current time is too large.",
        details: [
          .init("RequestTime", text), .init("ServerTime", now.iso8601),
          .init("MaxAllowedSkewMilliseconds", "\(Self.maximumSkewMilliseconds)"),
        ])
    }
    guard let hash = request.first("x-amz-content-sha256") else {
      throw SigningError(
        .invalidRequest, "Missing required header for this request: x-amz-content-sha256")
    }
    let mode = try payloadMode(hash, request)
    let token = try sessionToken(request.first("x-amz-security-token"), presigned: false)
    let coverage = try SignedVersion4(
      request, query: query, scope: credential.scope, presigned: false,
      signedHeaders: signedHeaders, time: text, payloadHash: hash)
    return SignedRequest(
      credential: credential, coverage: coverage, signature: header.signature, payload: mode,
      expires: nil, sessionToken: token)
  }

  /// The one value of `x-amz-content-sha256` as a mode.
  func payloadMode(
    _ value: ArraySlice<UInt8>, _ request: UnverifiedRequest
  ) throws(SigningError) -> PayloadMode {
    guard request.count(of: "x-amz-content-sha256") <= 1, let mode = PayloadMode(value) else {
      throw SigningError(
        .invalidArgument,
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
          + "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a "
          + "valid sha256 value.",
        details: [.init("ArgumentName", "x-amz-content-sha256")])
    }
    return mode
  }

  /// A session token of at most 4 KiB of visible ASCII.
  func sessionToken(
    _ raw: ArraySlice<UInt8>?, presigned: Bool
  ) throws(SigningError) -> String? {
    guard let raw else { return nil }
    guard !raw.isEmpty, raw.count <= 4096, raw.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
      throw .malformed(presigned: presigned, "The security token is mal-formed.")
    }
    return String(decoding: raw, as: UTF8.self)
  }

  private func requestTime(_ request: UnverifiedRequest) throws(SigningError) -> Timestamp {
    let time: Timestamp?
    if let date = request.first("x-amz-date") {
      guard request.count(of: "x-amz-date") == 1 else { throw Self.noDate }
      time = date.count == 16 ? Timestamp(basicISO8601: String(decoding: date, as: UTF8.self)) : nil
    } else if let date = request.first("date"), request.count(of: "date") == 1, date.count <= 64 {
      let text = String(decoding: date, as: UTF8.self)
      time = Timestamp(httpDate: text) ?? Timestamp(basicISO8601: text)
    } else {
      time = nil
    }
    guard let time else { throw Self.noDate }
    return time
  }

  private static let noDate = SigningError(
    .accessDenied, "AWS authentication requires a valid Date or x-amz-date header")
}

/// The fields of `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
struct AuthorizationHeader {
  /// The longest header that is looked at.
  static let maximumBytes = 8192

  let credential: ArraySlice<UInt8>
  let signedHeaders: ArraySlice<UInt8>
  /// The 32 bytes.
  let signature: [UInt8]

  init(_ raw: ArraySlice<UInt8>) throws(SigningError) {
    let scheme = raw.prefix { $0 != 0x20 }
    guard scheme.elementsEqual("AWS4-HMAC-SHA256".utf8) else {
      if scheme.elementsEqual("AWS".utf8) || scheme.starts(with: "AWS4-".utf8) {
        throw SignatureVerifier.unsupported
      }
      throw SigningError(
        .invalidArgument, "Unsupported Authorization Type",
        details: [.init("ArgumentName", "Authorization")])
    }
    guard raw.count <= Self.maximumBytes else {
      throw .malformed(presigned: false, "The authorization header is too long.")
    }
    var values: [ArraySlice<UInt8>?] = [nil, nil, nil]
    let names = ["Credential", "SignedHeaders", "Signature"]
    for piece in raw[scheme.endIndex...].split(separator: UInt8(ascii: ",")) {
      let field = piece.trimmingBlanks()
      guard let equals = field.firstIndex(of: UInt8(ascii: "=")),
        let index = names.firstIndex(where: { field[..<equals].elementsEqual($0.utf8) }),
        values[index] == nil
      else {
        throw .malformed(
          presigned: false,
          "The authorization header is malformed; it has a field that is unknown or given twice.")
      }
      values[index] = field[(equals + 1)...]
    }
    guard let credential = values[0], let signedHeaders = values[1], let signature = values[2]
    else {
      let missing = names[values.firstIndex { $0 == nil } ?? 0]
      throw .malformed(
        presigned: false, "The authorization header is malformed; it lacks \(missing).")
    }
    self.credential = credential
    self.signedHeaders = signedHeaders
    self.signature = try Self.signature(signature, presigned: false)
  }

  /// 64 hexadecimal digits as 32 bytes.
  static func signature(
    _ text: ArraySlice<UInt8>, presigned: Bool
  ) throws(SigningError) -> [UInt8] {
    guard let bytes = CanonicalEncoding.digest(text) else {
      throw .malformed(presigned: presigned, "The Signature must be 64 hexadecimal digits.")
    }
    return bytes
  }
}
