import Crypto
import Runtime

/// Whose AES-GCM a process uses, as an operator wants it.
enum CipherChoice: String {
  /// The fastest for the processor.
  case automatic = "auto"
  /// OpenSSL's, whatever the processor.
  case openSSL = "openssl"

  static let option = ConfigurationOption(
    "AES_GCM", .text, unit: "auto or openssl", standard: "auto",
    "Whose AES-GCM serves TLS and content; auto: libipsec-mb's where the processor has VAES and "
      + "AVX-512, else OpenSSL's.")

  /// The choice that a setting names; throws when there is none.
  init(_ text: String) throws(ConfigurationError) {
    guard let choice = Self(rawValue: text) else {
      throw ConfigurationError("\(Self.option.name) is auto or openssl")
    }
    self = choice
  }

  /// Has all of the process use it, and says which it is. Called once, before anything fetches a
  /// cipher.
  func install() -> String {
    guard self == .automatic else { return "OpenSSL: it is set so" }
    return switch CipherAcceleration.install() {
    case .inUse: "libipsec-mb, by VAES and AVX-512"
    case .notBuilt: "OpenSSL: built without libipsec-mb"
    case .otherRelease: "OpenSSL: libipsec-mb is not the release that this was built with"
    case .notCapable: "OpenSSL: the processor has not both VAES and AVX-512"
    case .refused: "OpenSSL: it is configured to use approved modules only"
    }
  }
}
