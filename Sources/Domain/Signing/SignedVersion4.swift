internal import Base

/// What a signature of version 4 covers.
struct SignedVersion4: Sendable {
  /// The time of the signature, as `20260102T030405Z`.
  let time: String
  private let scope: CredentialScope
  private let canonicalRequest: [UInt8]
  private let stringToSign: [UInt8]
  /// The path as sent and where its canonical form lies in `canonicalRequest`.
  private let rawPath: ArraySlice<UInt8>
  private let pathRange: Range<Int>

  init(
    _ request: UnverifiedRequest, query: CanonicalQuery, scope: CredentialScope, presigned: Bool,
    signedHeaders: SignedHeaders, time: String, payloadHash: ArraySlice<UInt8>
  ) throws(SigningError) {
    self.time = time
    self.scope = scope
    canonicalRequest = try CanonicalRequest.make(
      request, query: query, presigned: presigned, signedHeaders: signedHeaders,
      payloadHash: payloadHash)
    stringToSign = CanonicalRequest.stringToSign(canonicalRequest, time: time, scope: scope)
    rawPath = request.rawPath
    let pathStart = request.method.utf8.count + 1
    pathRange = pathStart..<(canonicalRequest[pathStart...].firstIndex(of: 0x0a) ?? pathStart)
  }

  /// Whether a key makes this signature.
  func matches(_ signature: [UInt8], _ key: SigningKey) -> Bool {
    ConstantTime.equals(key.signature(of: stringToSign), signature)
      || matchesRawPath(signature, key)
  }

  /// What the maker of a client compares with.
  func details(_ signature: [UInt8]) -> [SigningError.Detail] {
    [
      .init("StringToSign", String(decoding: stringToSign, as: UTF8.self)),
      .init("SignatureProvided", Hex.encode(signature)),
      .init("StringToSignBytes", SignedRequest.spaced(stringToSign)),
      .init("CanonicalRequest", String(decoding: canonicalRequest, as: UTF8.self)),
      .init("CanonicalRequestBytes", SignedRequest.spaced(canonicalRequest)),
    ]
  }

  /// Whether the path was signed just as it was sent.
  ///
  /// Clients sign the path they send; where they spell it otherwise than the canonical form does,
  /// such as with `%2F`, some leave it so. Both forms decode to the same path, so that a signature
  /// of one is never good for another resource.
  private func matchesRawPath(_ signature: [UInt8], _ key: SigningKey) -> Bool {
    guard !rawPath.elementsEqual(canonicalRequest[pathRange]), !rawPath.contains(0x0a) else {
      return false
    }
    var request = canonicalRequest
    request.replaceSubrange(pathRange, with: rawPath)
    let text = CanonicalRequest.stringToSign(request, time: time, scope: scope)
    return ConstantTime.equals(key.signature(of: text), signature)
  }
}
