public import Base

/// A request that carries a well-formed signature: whose it claims to be and what it covers.
///
/// Nothing of it may be acted upon before `verify` returned.
public struct SignedRequest: Sendable {
  /// The access key id the request claims.
  public let accessKeyID: String
  /// What it is signed for; date, region and service are the server's own. Nil of version 2, which
  /// signs for any.
  public let scope: CredentialScope?
  /// How the body is covered.
  public let payload: PayloadMode
  /// When a presigned URL ends; nil when signed by header.
  public let expires: Timestamp?
  /// The token of temporary credentials that came along.
  public let sessionToken: String?

  /// The bytes of the signature that came along; of another length where they are none.
  let signature: [UInt8]
  private let coverage: Coverage

  /// What the signature is calculated over.
  private enum Coverage {
    case version4(SignedVersion4)
    case version2(SignedVersion2)
  }

  init(
    credential: Credential, coverage: SignedVersion4, signature: [UInt8], payload: PayloadMode,
    expires: Timestamp?, sessionToken: String?
  ) {
    accessKeyID = credential.accessKeyID
    scope = credential.scope
    self.payload = payload
    self.expires = expires
    self.sessionToken = sessionToken
    self.signature = signature
    self.coverage = .version4(coverage)
  }

  init(
    accessKeyID: String, coverage: SignedVersion2, signature: [UInt8], payload: PayloadMode,
    expires: Timestamp, sessionToken: String?
  ) {
    self.accessKeyID = accessKeyID
    scope = nil
    self.payload = payload
    self.expires = expires
    self.sessionToken = sessionToken
    self.signature = signature
    self.coverage = .version2(coverage)
  }

  /// Whether it is signed by a presigned URL.
  public var isPresigned: Bool { expires != nil }

  /// The version of the signature.
  public var version: SignatureVersion {
    switch coverage {
    case .version2: .version2
    case .version4: .version4
    }
  }

  /// Whether the signature covers query parameters of a name: version 2 leaves many out.
  public func covers(parameter name: ArraySlice<UInt8>) -> Bool {
    version == .version4 || SignedVersion2.isSigned(name)
  }

  /// Checks the signature; throws `SignatureDoesNotMatch` with what was to be signed, so that the
  /// maker of a client can compare.
  public func verify(_ key: SigningKey) throws(SigningError) {
    let isRight: Bool
    let details: [SigningError.Detail]
    switch coverage {
    case .version4(let coverage):
      isRight = coverage.matches(signature, key)
      details = isRight ? [] : coverage.details(signature)
    case .version2(let coverage):
      isRight = coverage.matches(signature, key)
      details = isRight ? [] : coverage.details(signature)
    }
    guard isRight else {
      throw SigningError(
        .signatureDoesNotMatch,
        "The request signature we calculated does not match the signature you provided. Check "
          + "your key and signing method.",
        details: [.init("AWSAccessKeyId", accessKeyID)] + details)
    }
  }

  /// What verifies the chunks of the body; nil unless they are signed.
  public func chunkSigner(_ key: SigningKey) -> ChunkSigner? {
    guard case .version4(let coverage) = coverage, let scope else { return nil }
    switch payload {
    case .digest, .unsigned, .unsignedChunksAndTrailer: return nil
    case .signedChunks, .signedChunksAndTrailer:
      return ChunkSigner(key: key, time: coverage.time, scope: scope, seed: signature)
    }
  }

  /// The first bytes of what was to be signed, in hexadecimal digits with blanks between.
  static func spaced(_ bytes: [UInt8]) -> String {
    bytes.prefix(4096).map { Hex.encode([$0]) }.joined(separator: " ")
  }
}
