public import Base
import Crypto
public import Metadata
public import Runtime
public import Sealing
public import Telemetry

/// The certificate authority of a cluster: kept in the metadata, its keys sealed, so that every
/// process with the database and the master key is it. All functions may be called from any task
/// and process at once; they throw `TrustError` or `MetadataError`.
public final class ClusterAuthority: Sendable {
  let settings: any SettingStore
  let keys: KeyRing
  let clock: any WallClock
  let random: any RandomSource
  let configuration: TrustConfiguration
  let log: Log
  private let users: (@Sendable () async throws -> AuthorityUsers)?

  /// The cluster.
  public var cluster: ClusterID { keys.cluster }

  /// Uses what other processes of the cluster use too. `users` tells who its members are.
  public init(
    settings: any SettingStore, keys: KeyRing, clock: any WallClock, random: any RandomSource,
    configuration: TrustConfiguration = TrustConfiguration(),
    users: (@Sendable () async throws -> AuthorityUsers)? = nil, log: Log
  ) {
    self.users = users
    self.settings = settings
    self.keys = keys
    self.clock = clock
    self.random = random
    self.configuration = configuration
    self.log = log.named("trust")
  }

  /// Whether the cluster has an authority: with one, storage servers speak mutual TLS.
  public func isInitialized() async throws -> Bool {
    try await settings.setting(AuthoritySet.settingName) != nil
  }

  /// Makes the first authority unless there is one; returns whether it did.
  @discardableResult
  public func initialize() async throws -> Bool {
    if try await isInitialized() { return false }
    let first = AuthoritySet(authorities: [makeAuthority(after: nil)])
    let isMade = try await settings.replaceSetting(
      AuthoritySet.settingName, expected: nil, with: first.encoded)
    if isMade { log.info("the cluster has a certificate authority") }
    return isMade
  }

  /// Makes another authority, which signs from now on, and which the one before it vouches for:
  /// who knows only that one trusts the new one's certificates too. Both are trusted until
  /// `retireOldAuthorities`. Returns the number of trusted authorities.
  @discardableResult
  public func rotate() async throws -> Int {
    try await update { set throws(TrustError) in
      guard set.authorities.count < AuthoritySet.limit else {
        throw .conflict("there are many authorities already: retire the old ones first")
      }
      guard let last = set.authorities.last else { throw .damaged("no authority") }
      set.authorities.append(makeAuthority(after: try open(last)))
      log.warning("a new certificate authority signs; the old one is trusted still")
      return set.authorities.count
    }
  }

  /// Ends the trust in all authorities but the one that signs; returns how many ended.
  ///
  /// Throws `conflict` while a member was not seen to go by the one that signs, unless
  /// `isForced`: then such a storage server has to join anew.
  @discardableResult
  public func retireOldAuthorities(isForced: Bool = false) async throws -> Int {
    let newest = try await load().authorities.last?.certificate.publicKeyFingerprint
    if let users = try await users?() {
      let behind = try await membersBehind(users)
      if isForced {
        for member in behind {
          log.error(
            "an authority ends by force that a member still goes by: it is cut off",
            [("member", member)])
        }
      } else if !behind.isEmpty {
        let shown = behind.prefix(8).joined(separator: ", ")
        throw TrustError.conflict(
          "\(behind.count) members still go by an older authority: \(shown)"
            + (behind.count > 8 ? " and others" : ""))
      }
    }
    return try await update { set throws(TrustError) in
      guard var last = set.authorities.last else { throw .damaged("no authority") }
      guard last.certificate.publicKeyFingerprint == newest else {
        throw .conflict("another authority was made at the same time")
      }
      let count = set.authorities.count - 1
      last.cross = nil
      set.authorities = [last]
      if count > 0 { log.warning("old certificate authorities are trusted no more") }
      return count
    }
  }

  /// The trusted authorities in PEM, the newest last.
  public func trustedPEM() async throws -> String { try await load().pem }

  /// A new certificate of a gateway, with its key.
  public func issueGatewayIdentity() async throws -> TransportIdentity {
    try issueGateway(try await load())
  }

  func issueGateway(_ set: AuthoritySet) throws(TrustError) -> TransportIdentity {
    let key = PrivateKey()
    let chain = try issue(
      set, name: ClusterNames.gateway, commonName: "s3storage gateway", purpose: .client,
      lifetime: configuration.gatewayLifetime
    ) { authority, template, authorityKey in
      authority.issue(template, for: key, key: authorityKey)
    }
    return TransportIdentity(
      caPEM: set.pem, certificatePEM: Certificate.pem(chain), privateKeyPEM: key.pem)
  }

  /// The certificate of a storage server and what links it to older authorities.
  func issueServer(
    _ set: AuthoritySet, _ server: ServerID, _ request: CertificateRequest
  ) throws(TrustError) -> [Certificate] {
    try issue(
      set, name: ClusterNames.server(server), commonName: "s3storage storage server",
      purpose: .server, lifetime: configuration.serverLifetime
    ) { authority, template, authorityKey in
      authority.issue(template, for: request, key: authorityKey)
    }
  }

  func load() async throws -> AuthoritySet {
    guard let stored = try await settings.setting(AuthoritySet.settingName) else {
      throw TrustError.notReady("the cluster has no certificate authority: run cluster init")
    }
    return try AuthoritySet(parsing: stored)
  }

  // MARK: Making

  private typealias OpenAuthority = (certificate: Certificate, key: PrivateKey)

  /// Changes the stored set, again and again until nobody else did meanwhile.
  private func update<R>(
    _ change: (inout AuthoritySet) throws(TrustError) -> R
  ) async throws -> R {
    for _ in 0..<16 {
      guard let stored = try await settings.setting(AuthoritySet.settingName) else {
        throw TrustError.notReady("the cluster has no certificate authority: run cluster init")
      }
      var set = try AuthoritySet(parsing: stored)
      let result = try change(&set)
      if try await settings.replaceSetting(
        AuthoritySet.settingName, expected: stored, with: set.encoded)
      {
        return result
      }
    }
    throw TrustError.conflict("others change the authorities at the same time")
  }

  private func makeAuthority(after last: OpenAuthority?) -> AuthoritySet.Authority {
    let key = PrivateKey()
    let now = clock.now
    var template = CertificateTemplate(
      commonName: "s3storage \(cluster) CA \(Hex.encode(random.bytes(4)))", dnsNames: [],
      purpose: .authority(depth: 1),
      notBefore: now.advanced(byMilliseconds: -TrustConfiguration.window),
      notAfter: now.advanced(byMilliseconds: configuration.authorityLifetime), serial: serial())
    let certificate = Certificate.selfSigned(template, key: key)
    var cross: Certificate?
    if let last {
      template.purpose = .authority(depth: 0)
      template.notAfter = min(template.notAfter, last.certificate.notAfter)
      template.serial = serial()
      cross = last.certificate.issue(template, for: key, key: last.key)
    }
    var der = key.der
    defer { SecretBytes.wipe(&der) }
    return AuthoritySet.Authority(
      certificate: certificate, cross: cross,
      sealedKey: keys.sealSecret(der, context: Self.context(certificate), random: random.bytes))
  }

  private func open(_ authority: AuthoritySet.Authority) throws(TrustError) -> OpenAuthority {
    var der: [UInt8]
    do throws(SealingError) {
      der = try keys.openSecret(
        authority.sealedKey, context: Self.context(authority.certificate))
    } catch {
      throw .damaged("the key of an authority: \(error)")
    }
    defer { SecretBytes.wipe(&der) }
    guard let key = try? PrivateKey(der: der), authority.certificate.belongs(to: key) else {
      throw .damaged("the key of an authority is not its own")
    }
    return (authority.certificate, key)
  }

  private func issue(
    _ set: AuthoritySet, name: String, commonName: String,
    purpose: CertificateTemplate.Purpose, lifetime: Int64,
    _ make: (Certificate, CertificateTemplate, PrivateKey) -> Certificate
  ) throws(TrustError) -> [Certificate] {
    guard let last = set.authorities.last else { throw .damaged("no authority") }
    let authority = try open(last)
    let now = clock.now
    let end = now.advanced(byMilliseconds: lifetime)
    guard authority.certificate.notAfter > now else {
      throw .notReady("the certificate authority has expired: run cluster rotate-ca")
    }
    if authority.certificate.notAfter < now.advanced(byMilliseconds: 365 * TrustConfiguration.day) {
      log.warning("the certificate authority ends within a year: run cluster rotate-ca")
    }
    let template = CertificateTemplate(
      commonName: commonName, dnsNames: [name], purpose: purpose,
      notBefore: max(
        now.advanced(byMilliseconds: -TrustConfiguration.window), authority.certificate.notBefore),
      notAfter: min(end, authority.certificate.notAfter), serial: serial())
    return [make(authority.certificate, template, authority.key)] + (last.cross.map { [$0] } ?? [])
  }

  /// A positive number of 127 bits, one of them set and the others random.
  private func serial() -> [UInt8] {
    var bytes = random.bytes(16)
    bytes[0] = bytes[0] & 0x3f | 0x40
    return bytes
  }

  private static func context(_ certificate: Certificate) -> [UInt8] {
    Array("cluster authority ".utf8) + certificate.publicKeyFingerprint
  }
}
