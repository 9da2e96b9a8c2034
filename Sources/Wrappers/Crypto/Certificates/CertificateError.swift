/// Why a certificate, a key or a request is not taken. The reasons are fixed texts without secrets.
public enum CertificateError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The bytes are not what they should be.
  case malformed(String)
  /// The chain does not lead to a trusted authority, or is not for that name, purpose or time.
  case untrusted(String)

  /// What is wrong, for a log.
  public var description: String {
    switch self {
    case .malformed(let reason): reason
    case .untrusted(let reason): "the certificate is not trusted: \(reason)"
    }
  }
}
