internal import COpenSSL

/// A certificate request (PKCS #10, RFC 2986) that names one DNS name and asks for nothing else.
///
/// What it says is a wish: the authority decides name, purpose and time.
@safe
public final class CertificateRequest: @unchecked Sendable {
  /// Bytes of a request at most, in DER.
  public static let maximumByteCount = 4096

  let pointer: OpaquePointer
  /// The name that it asks for.
  public let name: String

  /// Makes a request for one name, signed by the key that it is for.
  ///
  /// Precondition: the name consists of letters, digits, dots and hyphens, at most 253.
  public init(name: String, key: PrivateKey) {
    precondition(Extensions.isPlain(name), "a plain DNS name")
    guard let request = unsafe X509_REQ_new(), let list = unsafe OPENSSL_sk_new_null() else {
      fatalError("out of memory")
    }
    defer {
      unsafe OPENSSL_sk_pop_free(list) { unsafe X509_EXTENSION_free(OpaquePointer($0)) }
    }
    let names = unsafe Extensions.make(
      NID_subject_alt_name, "DNS:\(name)", issuer: nil, subject: nil)
    unsafe OPENSSL_sk_push(list, UnsafeRawPointer(names))
    requireSuccess(unsafe X509_REQ_set_version(request, 0), "X509_REQ_set_version")
    requireSuccess(unsafe X509_REQ_set_pubkey(request, key.pointer), "X509_REQ_set_pubkey")
    requireSuccess(unsafe X509_REQ_add_extensions(request, list), "X509_REQ_add_extensions")
    let size = unsafe X509_REQ_sign(request, key.pointer, EVP_sha256())
    precondition(size > 0, "a request cannot be signed")
    unsafe pointer = request
    self.name = name
  }

  /// Reads a request from outside.
  ///
  /// Throws unless it is whole, small, signed by its own key, of a key on P-256, and asks for
  /// exactly one thing: a subject alternative name that is one DNS name. A request that asks for
  /// more, such as to be an authority, is refused rather than trimmed.
  public init(der: [UInt8]) throws(CertificateError) {
    guard der.count <= Self.maximumByteCount else { throw .malformed("the request is too long") }
    let decoded = unsafe DER.decode(der) {
      unsafe d2i_X509_REQ(nil, $0, $1)
    } free: {
      unsafe X509_REQ_free($0)
    }
    guard let decoded = unsafe decoded else { throw .malformed("not a certificate request") }
    do throws(CertificateError) {
      name = try unsafe Self.check(decoded)
    } catch {
      unsafe X509_REQ_free(decoded)
      throw error
    }
    unsafe pointer = decoded
  }

  /// Reads a request from outside in PEM.
  public convenience init(pem: String) throws(CertificateError) {
    let blocks = try PEM.decode(.request, pem)
    guard blocks.count == 1 else { throw .malformed("more than one request") }
    try self.init(der: blocks[0])
  }

  deinit {
    unsafe X509_REQ_free(pointer)
  }

  /// In DER.
  public var der: [UInt8] { unsafe DER.encode { unsafe i2d_X509_REQ(pointer, $0) } }

  /// In PEM.
  public var pem: String { PEM.encode(.request, der) }

  /// SHA-256 of the public key.
  public var publicKeyFingerprint: [UInt8] {
    unsafe X509_REQ_get0_pubkey(pointer).map { unsafe PublicKey.fingerprint($0) } ?? []
  }

  @unsafe
  private static func check(_ request: OpaquePointer) throws(CertificateError) -> String {
    guard let key = unsafe X509_REQ_get0_pubkey(request), unsafe PublicKey.isP256(key) else {
      throw .malformed("the request's key is not one on the curve P-256")
    }
    defer { ERR_clear_error() }
    guard unsafe X509_REQ_verify(request, key) == 1 else {
      throw .malformed("the request is not signed by its key")
    }
    guard unsafe X509_REQ_get_attr_count(request) == 1,
      let list = unsafe X509_REQ_get_extensions(request)
    else { throw .malformed("the request asks for no name, or for more than a name") }
    defer {
      unsafe OPENSSL_sk_pop_free(list) { unsafe X509_EXTENSION_free(OpaquePointer($0)) }
    }
    guard unsafe OPENSSL_sk_num(list) == 1, let item = unsafe OPENSSL_sk_value(list, 0),
      unsafe OBJ_obj2nid(X509_EXTENSION_get_object(OpaquePointer(item))) == NID_subject_alt_name,
      let names = unsafe X509V3_EXT_d2i(OpaquePointer(item))
    else { throw .malformed("the request asks for no name, or for more than a name") }
    defer { unsafe GENERAL_NAMES_free(OpaquePointer(names)) }
    guard let found = unsafe Extensions.dnsNames(OpaquePointer(names)), found.count == 1,
      Extensions.isPlain(found[0])
    else { throw .malformed("the request does not name exactly one DNS name") }
    return found[0]
  }
}
