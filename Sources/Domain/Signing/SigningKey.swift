internal import Base
internal import Crypto

/// The key that signs for one access key in one scope; a secret.
public struct SigningKey: Sendable {
  private let bytes: [UInt8]

  /// Derives the key from the secret access key.
  public init(secretKey: String, scope: CredentialScope) {
    var key = HMAC.sha256(key: Array("AWS4\(secretKey)".utf8), message: scope.date)
    key = HMAC.sha256(key: key, message: scope.region)
    key = HMAC.sha256(key: key, message: scope.service)
    bytes = HMAC.sha256(key: key, message: "aws4_request")
  }

  /// The signature of a string to sign: 32 bytes.
  func signature(of stringToSign: [UInt8]) -> [UInt8] {
    HMAC.sha256(key: bytes, message: stringToSign)
  }
}
