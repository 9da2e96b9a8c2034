public import Base
public import Crypto

/// Who a process is on the cluster's network, and whom it trusts: what TLS needs, in PEM.
public struct TransportIdentity: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// The trusted authorities, one or more.
  public var caPEM: String
  /// The certificate and what links it to an older authority.
  public var certificatePEM: String
  /// Its key, PKCS #8: a secret.
  public var privateKeyPEM: String

  /// Makes an identity of its parts; nothing is verified.
  public init(caPEM: String, certificatePEM: String, privateKeyPEM: String) {
    self.caPEM = caPEM
    self.certificatePEM = certificatePEM
    self.privateKeyPEM = privateKeyPEM
  }

  /// Not the key.
  public var description: String { "<transport identity>" }

  /// Nothing: no dump shows the key.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// A transport identity, read.
public struct OpenIdentity: Sendable {
  /// The trusted authorities.
  public let authorities: [Certificate]
  /// The certificate first, then what links it to an older authority.
  public let chain: [Certificate]
  /// The certificate.
  public let certificate: Certificate
  /// Its key.
  public let key: PrivateKey

  /// Reads an identity; throws unless certificate and key belong together.
  public init(_ identity: TransportIdentity) throws(CertificateError) {
    authorities = try Certificate.parse(pem: identity.caPEM)
    chain = try Certificate.parse(pem: identity.certificatePEM)
    key = try PrivateKey(pem: identity.privateKeyPEM)
    guard let first = chain.first, first.belongs(to: key) else {
      throw .malformed("the private key is not the one of the certificate")
    }
    certificate = first
  }

  /// The storage server that it is the identity of; nil when it is none of one.
  public var server: ServerID? {
    let names = certificate.dnsNames
    return names.count == 1 ? ClusterNames.serverID(names[0]) : nil
  }

  /// Whether it should be renewed: a third of its lifetime is left, or less, or the newest of the
  /// authorities has not signed it.
  public func isDue(at now: Timestamp) -> Bool {
    let lifetime = certificate.notAfter.milliseconds - certificate.notBefore.milliseconds
    if certificate.notAfter.milliseconds - now.milliseconds <= lifetime / 3 { return true }
    return authorities.last.map { !certificate.isSigned(by: $0) } ?? false
  }
}

extension ClusterNames {
  /// The storage server of a name that `server` made; nil for any other.
  public static func serverID(_ name: String) -> ServerID? {
    guard let label = name.split(separator: ".").first, let id = ServerID(hex: String(label)),
      server(id) == name
    else { return nil }
    return id
  }
}
