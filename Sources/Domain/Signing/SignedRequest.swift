public import Base

/// A request that carries a well-formed signature: whose it claims to be and what it covers.
///
/// Nothing of it may be acted upon before `verify` returned.
public struct SignedRequest: Sendable {
  /// The access key id the request claims.
  public let accessKeyID: String
  /// What it is signed for; date, region and service are the server's own.
  public let scope: CredentialScope
  /// How the body is covered.
  public let payload: PayloadMode
  /// Whether it is signed by a presigned URL.
  public let isPresigned: Bool
  /// When a presigned URL ends; nil when signed by header.
  public let expires: Timestamp?
  /// The token of temporary credentials that came along.
  public let sessionToken: String?
  /// The time of the signature, as `20260102T030405Z`.
  public let time: String

  /// The 32 bytes of the signature that came along.
  let signature: [UInt8]
  private let canonicalRequest: [UInt8]
  private let stringToSign: [UInt8]
  /// The path as sent and where its canonical form lies in `canonicalRequest`.
  private let rawPath: ArraySlice<UInt8>
  private let pathRange: Range<Int>

  init(
    _ request: UnverifiedRequest, query: CanonicalQuery, credential: Credential,
    signedHeaders: SignedHeaders, time: String, signature: [UInt8], payload: PayloadMode,
    payloadHash: ArraySlice<UInt8>, expires: Timestamp?, sessionToken: String?
  ) throws(SigningError) {
    accessKeyID = credential.accessKeyID
    scope = credential.scope
    self.payload = payload
    isPresigned = expires != nil
    self.expires = expires
    self.sessionToken = sessionToken
    self.time = time
    self.signature = signature
    canonicalRequest = try CanonicalRequest.make(
      request, query: query, presigned: expires != nil, signedHeaders: signedHeaders,
      payloadHash: payloadHash)
    stringToSign = CanonicalRequest.stringToSign(
      canonicalRequest, time: time, scope: credential.scope)
    rawPath = request.rawPath
    let pathStart = request.method.utf8.count + 1
    pathRange = pathStart..<(canonicalRequest[pathStart...].firstIndex(of: 0x0a) ?? pathStart)
  }

  /// Checks the signature; throws `SignatureDoesNotMatch` with what was to be signed, so that the
  /// maker of a client can compare.
  public func verify(_ key: SigningKey) throws(SigningError) {
    guard
      ConstantTime.equals(key.signature(of: stringToSign), signature) || matchesRawPath(key)
    else {
      throw SigningError(
        .signatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check "
          + "your key and signing method.",
        details: [
          .init("AWSAccessKeyId", accessKeyID),
          .init("StringToSign", String(decoding: stringToSign, as: UTF8.self)),
          .init("SignatureProvided", Hex.encode(signature)),
          .init("StringToSignBytes", Self.spaced(stringToSign)),
          .init("CanonicalRequest", String(decoding: canonicalRequest, as: UTF8.self)),
          .init("CanonicalRequestBytes", Self.spaced(canonicalRequest)),
        ])
    }
  }

  /// What verifies the chunks of the body; nil unless they are signed.
  public func chunkSigner(_ key: SigningKey) -> ChunkSigner? {
    switch payload {
    case .digest, .unsigned, .unsignedChunksAndTrailer: nil
    case .signedChunks, .signedChunksAndTrailer:
      ChunkSigner(key: key, time: time, scope: scope, seed: signature)
    }
  }

  /// Whether the path was signed just as it was sent.
  ///
  /// Clients sign the path they send; where they spell it otherwise than the canonical form does,
  /// such as with `%2F`, some leave it so. Both forms decode to the same path, so that a signature
  /// of one is never good for another resource.
  private func matchesRawPath(_ key: SigningKey) -> Bool {
    guard !rawPath.elementsEqual(canonicalRequest[pathRange]), !rawPath.contains(0x0a) else {
      return false
    }
    var request = canonicalRequest
    request.replaceSubrange(pathRange, with: rawPath)
    let text = CanonicalRequest.stringToSign(request, time: time, scope: scope)
    return ConstantTime.equals(key.signature(of: text), signature)
  }

  private static func spaced(_ bytes: [UInt8]) -> String {
    bytes.prefix(4096).map { Hex.encode([$0]) }.joined(separator: " ")
  }
}
