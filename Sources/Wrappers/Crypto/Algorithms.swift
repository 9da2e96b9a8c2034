internal import COpenSSL

/// The algorithm objects of OpenSSL, fetched once: a fetch costs more than a small digest.
///
/// They are immutable and reference-counted by the library, so every thread may use them.
@safe
struct Algorithms: @unchecked Sendable {
  static let shared = Algorithms()

  let md5: OpaquePointer
  let sha1: OpaquePointer
  let sha256: OpaquePointer
  let aes256GCM: OpaquePointer

  private init() {
    guard let md5 = unsafe EVP_MD_fetch(nil, "MD5", nil),
      let sha1 = unsafe EVP_MD_fetch(nil, "SHA1", nil),
      let sha256 = unsafe EVP_MD_fetch(nil, "SHA256", nil),
      let aes256GCM = unsafe EVP_CIPHER_fetch(nil, "AES-256-GCM", nil)
    else {
      fatalError("OpenSSL lacks MD5, SHA-1, SHA-256 or AES-256-GCM: is its default provider off?")
    }
    unsafe self.md5 = md5
    unsafe self.sha1 = sha1
    unsafe self.sha256 = sha256
    unsafe self.aes256GCM = aes256GCM
  }
}

/// Stops the process when OpenSSL fails with arguments that cannot fail: it is out of memory.
func requireSuccess(_ status: Int32, _ call: StaticString) {
  precondition(status == 1, "\(call) failed")
}
