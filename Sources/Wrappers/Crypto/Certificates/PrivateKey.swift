internal import COpenSSL

/// An ECDSA key on the curve P-256. It never prints itself; its memory is wiped by the library when
/// the last owner lets go of it. May be used from any thread.
@safe
public final class PrivateKey: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
  let pointer: OpaquePointer

  /// Makes a new key from the library's own random generator, which the kernel seeds.
  public init() {
    guard let context = unsafe EVP_PKEY_CTX_new_from_name(nil, "EC", nil) else {
      fatalError("OpenSSL lacks elliptic curves, or the memory is full")
    }
    defer { unsafe EVP_PKEY_CTX_free(context) }
    requireSuccess(unsafe EVP_PKEY_keygen_init(context), "EVP_PKEY_keygen_init")
    requireSuccess(
      unsafe EVP_PKEY_CTX_set_group_name(context, "prime256v1"), "EVP_PKEY_CTX_set_group_name")
    var key: OpaquePointer?
    requireSuccess(unsafe EVP_PKEY_generate(context, &key), "EVP_PKEY_generate")
    guard let key = unsafe key else { fatalError("no key was made") }
    unsafe pointer = key
  }

  /// Reads PKCS #8 in DER, not encrypted. Throws unless it is a key on P-256.
  public init(der: [UInt8]) throws(CertificateError) {
    let decoded = unsafe DER.decode(der) { cursor, count in
      unsafe d2i_AutoPrivateKey(nil, cursor, count)
    } free: {
      unsafe EVP_PKEY_free($0)
    }
    guard let decoded = unsafe decoded else { throw .malformed("not a private key") }
    guard unsafe PublicKey.isP256(decoded) else {
      unsafe EVP_PKEY_free(decoded)
      throw .malformed("the private key is not one on the curve P-256")
    }
    unsafe pointer = decoded
  }

  /// Reads PKCS #8 in PEM.
  public convenience init(pem: String) throws(CertificateError) {
    var blocks = try PEM.decode(.privateKey, pem)
    defer { for index in blocks.indices { SecretBytes.wipe(&blocks[index]) } }
    guard blocks.count == 1 else { throw .malformed("more than one private key") }
    try self.init(der: blocks[0])
  }

  deinit {
    unsafe EVP_PKEY_free(pointer)
  }

  /// PKCS #8 in DER: a secret.
  public var der: [UInt8] {
    guard let info = unsafe EVP_PKEY2PKCS8(pointer) else { fatalError("out of memory") }
    defer { unsafe PKCS8_PRIV_KEY_INFO_free(info) }
    return unsafe DER.encode { unsafe i2d_PKCS8_PRIV_KEY_INFO(info, $0) }
  }

  /// PKCS #8 in PEM: a secret.
  public var pem: String { PEM.encode(.privateKey, der) }

  /// SHA-256 of the public key (its SubjectPublicKeyInfo).
  public var publicKeyFingerprint: [UInt8] { unsafe PublicKey.fingerprint(pointer) }

  /// An ECDSA signature with SHA-256, in DER.
  public func sign(_ message: [UInt8]) -> [UInt8] {
    guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    defer { unsafe EVP_MD_CTX_free(context) }
    requireSuccess(
      unsafe EVP_DigestSignInit(context, nil, Algorithms.shared.sha256, nil, pointer),
      "EVP_DigestSignInit")
    var length = 0
    requireSuccess(
      unsafe EVP_DigestSign(context, nil, &length, message, message.count), "EVP_DigestSign")
    var result = [UInt8](repeating: 0, count: length)
    requireSuccess(
      unsafe EVP_DigestSign(context, &result, &length, message, message.count), "EVP_DigestSign")
    return Array(result.prefix(length))
  }

  /// Not the key.
  public var description: String { "<private key>" }

  /// Nothing.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What is done with the public half of a key.
@safe
enum PublicKey {
  @unsafe
  static func isP256(_ key: OpaquePointer) -> Bool {
    guard unsafe EVP_PKEY_is_a(key, "EC") == 1 else { return false }
    var name = [CChar](repeating: 0, count: 32)
    var length = 0
    guard unsafe EVP_PKEY_get_group_name(key, &name, name.count, &length) == 1 else {
      return false
    }
    let text = String(decoding: name.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return text == "prime256v1"
  }

  @unsafe
  static func fingerprint(_ key: OpaquePointer) -> [UInt8] {
    Digest.hash(.sha256, unsafe DER.encode { unsafe i2d_PUBKEY(key, $0) })
  }

  /// Whether a signature of `PrivateKey.sign` is one of this key over that message.
  @unsafe
  static func verify(_ key: OpaquePointer, _ signature: [UInt8], of message: [UInt8]) -> Bool {
    guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
    defer {
      unsafe EVP_MD_CTX_free(context)
      ERR_clear_error()
    }
    let started = unsafe EVP_DigestVerifyInit(context, nil, Algorithms.shared.sha256, nil, key)
    guard started == 1 else { return false }
    let status = unsafe EVP_DigestVerify(
      context, signature, signature.count, message, message.count)
    return status == 1
  }
}
