internal import COpenSSL

/// The digest algorithms of the S3 protocol and of the chunk format.
public enum DigestAlgorithm: Hashable, Sendable, CaseIterable {
  /// MD5 (RFC 1321): for ETags and Content-MD5 only, never for security.
  case md5
  /// SHA-1 (FIPS 180-4): as a checksum only.
  case sha1
  /// SHA-256 (FIPS 180-4).
  case sha256

  /// The number of bytes of a digest.
  public var byteCount: Int {
    switch self {
    case .md5: 16
    case .sha1: 20
    case .sha256: 32
    }
  }

  var object: OpaquePointer {
    switch self {
    case .md5: unsafe Algorithms.shared.md5
    case .sha1: unsafe Algorithms.shared.sha1
    case .sha256: unsafe Algorithms.shared.sha256
    }
  }
}
