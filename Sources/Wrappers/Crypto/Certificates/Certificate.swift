public import Base
internal import COpenSSL

/// An X.509 certificate (RFC 5280). Immutable; may be used from any thread.
@safe
public final class Certificate: @unchecked Sendable {
  /// Bytes of a certificate at most, in DER.
  public static let maximumByteCount = 16 << 10

  let pointer: OpaquePointer

  @unsafe
  init(takingOwnershipOf pointer: OpaquePointer) {
    unsafe self.pointer = pointer
    // Has the library work out the extensions now, while nobody else sees the object.
    _ = unsafe X509_check_purpose(pointer, -1, 0)
    ERR_clear_error()
  }

  /// Reads a certificate in DER. Nothing is verified.
  public convenience init(der: [UInt8]) throws(CertificateError) {
    guard der.count <= Self.maximumByteCount else {
      throw .malformed("the certificate is too long")
    }
    let decoded = unsafe DER.decode(der) {
      unsafe d2i_X509(nil, $0, $1)
    } free: {
      unsafe X509_free($0)
    }
    guard let decoded = unsafe decoded else { throw .malformed("not a certificate") }
    unsafe self.init(takingOwnershipOf: decoded)
  }

  /// Reads the certificates of a PEM text in order.
  public static func parse(pem: String) throws(CertificateError) -> [Certificate] {
    var result: [Certificate] = []
    for block in try PEM.decode(.certificate, pem) { result.append(try Certificate(der: block)) }
    return result
  }

  /// The certificates in one PEM text.
  public static func pem(_ certificates: [Certificate]) -> String {
    certificates.map(\.pem).joined()
  }

  deinit {
    unsafe X509_free(pointer)
  }

  /// In DER.
  public var der: [UInt8] { unsafe DER.encode { unsafe i2d_X509(pointer, $0) } }

  /// In PEM.
  public var pem: String { PEM.encode(.certificate, der) }

  /// SHA-256 of the DER form.
  public var fingerprint: [UInt8] { Digest.hash(.sha256, der) }

  /// SHA-256 of the public key; empty when the key is of no known kind.
  public var publicKeyFingerprint: [UInt8] {
    unsafe X509_get0_pubkey(pointer).map { unsafe PublicKey.fingerprint($0) } ?? []
  }

  /// The DNS names of the subject alternative names; none when others are among them.
  public var dnsNames: [String] {
    guard let names = unsafe X509_get_ext_d2i(pointer, NID_subject_alt_name, nil, nil) else {
      return []
    }
    defer { unsafe GENERAL_NAMES_free(OpaquePointer(names)) }
    return unsafe Extensions.dnsNames(OpaquePointer(names)) ?? []
  }

  /// Whether it may sign certificates.
  public var isAuthority: Bool { unsafe X509_check_ca(pointer) == 1 }

  /// From when it is good.
  public var notBefore: Timestamp { unsafe Self.time(X509_get0_notBefore(pointer)) }

  /// Until when it is good.
  public var notAfter: Timestamp { unsafe Self.time(X509_get0_notAfter(pointer)) }

  /// Whether the private key is the one of this certificate.
  public func belongs(to key: PrivateKey) -> Bool {
    ConstantTime.equals(publicKeyFingerprint, key.publicKeyFingerprint)
  }

  /// Whether the authority's key has signed this certificate.
  public func isSigned(by authority: Certificate) -> Bool {
    defer { ERR_clear_error() }
    guard let key = unsafe X509_get0_pubkey(authority.pointer) else { return false }
    return unsafe X509_verify(pointer, key) == 1
  }

  /// Whether a signature of `PrivateKey.sign` over a message was made with this certificate's key.
  public func verify(_ signature: [UInt8], of message: [UInt8]) -> Bool {
    guard let key = unsafe X509_get0_pubkey(pointer), unsafe PublicKey.isP256(key) else {
      return false
    }
    return unsafe PublicKey.verify(key, signature, of: message)
  }

  /// A time of the certificate; the epoch when it is none.
  @unsafe
  private static func time(_ value: UnsafePointer<ASN1_TIME>?) -> Timestamp {
    var days: Int32 = 0
    var seconds: Int32 = 0
    guard let epoch = unsafe ASN1_TIME_set(nil, 0) else { fatalError("out of memory") }
    defer { unsafe ASN1_STRING_free(epoch) }
    guard let value = unsafe value, unsafe ASN1_TIME_diff(&days, &seconds, epoch, value) == 1
    else { return Timestamp(seconds: 0) }
    return Timestamp(seconds: Int64(days) * 86_400 + Int64(seconds))
  }
}
