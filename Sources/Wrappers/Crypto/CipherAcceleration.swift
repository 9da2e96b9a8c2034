internal import CCipherProvider
internal import COpenSSL

/// Whose AES-GCM a process uses: that of OpenSSL, or that of Intel's multi-buffer library, which
/// knows vector instructions of newer processors that OpenSSL 3.0 does not.
public enum CipherAcceleration: Sendable {
  /// The multi-buffer library's.
  case inUse
  /// OpenSSL's: the program was built where there is no such library.
  case notBuilt
  /// OpenSSL's: the library is of another release than the program was built with.
  case otherRelease
  /// OpenSSL's: the processor lacks VAES, VPCLMULQDQ or AVX-512, or the library found itself wrong.
  case notCapable
  /// OpenSSL's: it is configured to use approved modules only.
  case refused

  /// Lets all of the process use the faster AES-GCM, where the processor has what it takes: TLS, and
  /// `AESGCM`.
  ///
  /// Called once, before anything else of OpenSSL and by one thread alone: what was fetched before
  /// stays as it was.
  public static func install() -> CipherAcceleration {
    let result = cipher_provider_load(nil)
    guard result == CIPHER_PROVIDER_LOADED else { return CipherAcceleration(result) }
    let name = unsafe String(cString: cipher_provider_name())
    // With the question mark others serve where this one has nothing.
    return unsafe EVP_set_default_properties(nil, "?provider=\(name)") == 1 ? .inUse : .refused
  }

  private init(_ result: cipher_provider_result) {
    switch result {
    case CIPHER_PROVIDER_LOADED: self = .inUse
    case CIPHER_PROVIDER_NOT_BUILT: self = .notBuilt
    case CIPHER_PROVIDER_OTHER_RELEASE: self = .otherRelease
    case CIPHER_PROVIDER_NOT_CAPABLE: self = .notCapable
    default: self = .refused
    }
  }
}
