public import Base
internal import COpenSSL

/// Verifies chains against a set of trusted authorities. May be used from any thread.
@safe
public final class CertificateVerifier: @unchecked Sendable {
  /// As what somebody presents a certificate.
  public enum Role: Sendable {
    /// As a server of TLS.
    case server
    /// As a client of TLS.
    case client
  }

  /// Authorities between a certificate and a trusted one, at most.
  public static let maximumDepth = 4

  private let store: OpaquePointer

  /// Trusts these authorities and nothing else.
  public init(trusting authorities: [Certificate]) {
    guard let store = unsafe X509_STORE_new() else { fatalError("out of memory") }
    for authority in authorities {
      requireSuccess(
        unsafe X509_STORE_add_cert(store, authority.pointer), "X509_STORE_add_cert")
    }
    unsafe self.store = store
  }

  deinit {
    unsafe X509_STORE_free(store)
  }

  /// Throws unless the first certificate leads over the others to a trusted authority, is good at
  /// that time, for that role, and, with a name given, names exactly it (no wildcards).
  public func verify(
    _ chain: [Certificate], as role: Role, name: String?, at time: Timestamp
  ) throws(CertificateError) {
    guard let first = chain.first, chain.count <= PEM.maximumBlockCount else {
      throw .untrusted("there is no chain")
    }
    guard let context = unsafe X509_STORE_CTX_new(), let others = unsafe OPENSSL_sk_new_null()
    else { fatalError("out of memory") }
    defer {
      unsafe X509_STORE_CTX_free(context)
      unsafe OPENSSL_sk_free(others)
      ERR_clear_error()
    }
    for certificate in chain.dropFirst() {
      unsafe OPENSSL_sk_push(others, UnsafeRawPointer(certificate.pointer))
    }
    requireSuccess(
      unsafe X509_STORE_CTX_init(context, store, first.pointer, others), "X509_STORE_CTX_init")
    guard let rules = unsafe X509_STORE_CTX_get0_param(context) else {
      fatalError("out of memory")
    }
    let purpose = role == .server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT
    requireSuccess(
      unsafe X509_VERIFY_PARAM_set_purpose(rules, purpose), "X509_VERIFY_PARAM_set_purpose")
    unsafe X509_VERIFY_PARAM_set_time(rules, Int(time.seconds))
    unsafe X509_VERIFY_PARAM_set_depth(rules, Int32(Self.maximumDepth))
    unsafe X509_VERIFY_PARAM_set_flags(rules, UInt(X509_V_FLAG_X509_STRICT))
    if let name {
      guard Extensions.isPlain(name) else { throw .untrusted("the name is not a DNS name") }
      unsafe X509_VERIFY_PARAM_set_hostflags(rules, UInt32(X509_CHECK_FLAG_NO_WILDCARDS))
      requireSuccess(
        unsafe X509_VERIFY_PARAM_set1_host(rules, name, name.utf8.count),
        "X509_VERIFY_PARAM_set1_host")
    }
    let verified = withExtendedLifetime(chain) { unsafe X509_verify_cert(context) }
    guard verified == 1 else {
      let code = unsafe X509_STORE_CTX_get_error(context)
      throw .untrusted(
        unsafe X509_verify_cert_error_string(Int(code)).map { unsafe String(cString: $0) }
          ?? "unknown")
    }
  }
}
