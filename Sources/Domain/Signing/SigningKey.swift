internal import Base
internal import Crypto

/// The key that signs for one access key; a secret.
///
/// A key of one version never makes a signature of the other.
public struct SigningKey: Sendable {
  private let bytes: [UInt8]
  private let version: SignatureVersion

  /// Derives the key of version 4 from the secret access key.
  public init(secretKey: String, scope: CredentialScope) {
    var key = HMAC.sha256(key: Array("AWS4\(secretKey)".utf8), message: scope.date)
    key = HMAC.sha256(key: key, message: scope.region)
    key = HMAC.sha256(key: key, message: scope.service)
    bytes = HMAC.sha256(key: key, message: "aws4_request")
    version = .version4
  }

  /// The key of version 2: the secret access key itself.
  public init(version2 secretKey: String) {
    bytes = Array(secretKey.utf8)
    version = .version2
  }

  /// The signature of a string to sign: 32 bytes of version 4, 20 of version 2.
  func signature(of stringToSign: [UInt8]) -> [UInt8] {
    switch version {
    case .version2: HMAC.sha1(key: bytes, message: stringToSign)
    case .version4: HMAC.sha256(key: bytes, message: stringToSign)
    }
  }
}
