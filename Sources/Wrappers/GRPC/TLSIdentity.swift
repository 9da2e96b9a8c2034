internal import CGRPC
internal import Synchronization

/// Certificates and a key, in PEM.
public struct TLSMaterial: Sendable {
  /// Who may vouch for the other side: one or more certificates.
  public var authorities: String
  /// This side's certificate, followed by those that vouch for it.
  public var certificateChain: String
  /// The certificate's private key, unencrypted.
  public var privateKey: String

  /// Makes material of PEM texts.
  public init(authorities: String, certificateChain: String, privateKey: String) {
    self.authorities = authorities
    self.certificateChain = certificateChain
    self.privateKey = privateKey
  }

  /// Lends the material in the library's form.
  func withRaw<R>(
    _ body: (UnsafePointer<CChar>, UnsafeMutablePointer<grpc_ssl_pem_key_cert_pair>) -> R
  ) -> R {
    unsafe authorities.withCString { authorities in
      unsafe privateKey.withCString { key in
        unsafe certificateChain.withCString { chain in
          var pair = unsafe grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
          return unsafe body(authorities, &pair)
        }
      }
    }
  }
}

/// The certificates that this process shows and trusts, which may be replaced at any time: servers
/// use the new ones from the next handshake on, clients from the next channel on.
public final class TLSIdentity: Sendable {
  private struct State {
    var material: TLSMaterial
    var generation = 1
  }

  private let state: Mutex<State>

  /// Starts with `material`.
  public init(_ material: TLSMaterial) {
    state = Mutex(State(material: material))
  }

  /// Replaces the material.
  public func update(_ material: TLSMaterial) {
    state.withLock { state in
      state.material = material
      state.generation += 1
    }
  }

  /// The material, and a number that grows with each update.
  public var current: (material: TLSMaterial, generation: Int) {
    state.withLock { ($0.material, $0.generation) }
  }
}

/// The identities of running servers. The library asks for them by number, since it does not say
/// when it has asked for the last time.
enum ServerIdentities {
  private struct Entry {
    var identity: TLSIdentity
    var given = 0
  }

  private struct State {
    var next = 1
    var entries: [Int: Entry] = [:]
  }

  private static let state = Mutex(State())

  /// Names an identity until `remove`.
  static func add(_ identity: TLSIdentity) -> Int {
    state.withLock { state in
      defer { state.next += 1 }
      state.entries[state.next] = Entry(identity: identity)
      return state.next
    }
  }

  static func remove(_ number: Int) {
    state.withLock { _ = $0.entries.removeValue(forKey: number) }
  }

  /// The material of an identity if it is newer than what was given last.
  static func newer(_ number: Int) -> (known: Bool, material: TLSMaterial?) {
    state.withLock { state in
      guard let entry = state.entries[number] else { return (false, nil) }
      let (material, generation) = entry.identity.current
      guard generation > entry.given else { return (true, nil) }
      state.entries[number]?.given = generation
      return (true, material)
    }
  }

  /// Credentials that ask for the identity anew with each handshake, and for a certificate of the
  /// client that its authorities vouch for.
  static func credentials(_ number: Int) -> OpaquePointer? {
    let options = unsafe grpc_ssl_server_credentials_create_options_using_config_fetcher(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY,
      { number, config in
        let (known, material) = ServerIdentities.newer(Int(bitPattern: number))
        guard known else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL }
        guard let material else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED }
        unsafe config?.pointee = material.withRaw { authorities, pair in
          unsafe grpc_ssl_server_certificate_config_create(authorities, pair, 1)
        }
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
      }, UnsafeMutableRawPointer(bitPattern: number))
    return unsafe grpc_ssl_server_credentials_create_with_options(options)
  }
}
