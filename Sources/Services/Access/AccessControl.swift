import Base
import Crypto
public import Metadata
public import Runtime
public import Sealing
public import Signing

/// Users, their keys, and who may do what.
///
/// Secrets are sealed in metadata and opened here only. May be used from any task.
public final class AccessControl: Sendable {
  /// The tenant of an installation that has no others.
  public static let defaultTenant: Int64 = 1

  let metadata: any MetadataStore
  let keys: KeyRing
  let clock: any WallClock
  let random: any RandomSource
  let cache = CredentialCache()
  private let signingKeys = SigningKeyCache()

  /// Guards the identities in `metadata`, whose secrets `keys` seal.
  public init(
    metadata: any MetadataStore, keys: KeyRing, clock: any WallClock, random: any RandomSource
  ) {
    self.metadata = metadata
    self.keys = keys
    self.clock = clock
    self.random = random
  }

  /// Who signed a request, and the key that its signature is checked with: of version 4 for a
  /// scope, of version 2 without one.
  ///
  /// Throws `AccessError`, or `MetadataError` when the identities cannot be read.
  public func signer(
    accessKeyID: String, scope: CredentialScope?
  ) async throws -> (identity: Identity, key: SigningKey) {
    let entry = try await credential(accessKeyID)
    let key =
      if let scope {
        signingKeys.key(secretKey: entry.secret, scope: scope)
      } else {
        SigningKey(version2: entry.secret)
      }
    return (Identity(user: entry.user, accessKeyID: entry.key.id), key)
  }

  /// Who sent a bearer key, which is `<access key>:<secret key>`.
  ///
  /// Throws `AccessError.invalidKey` alike for an unknown key and a wrong secret.
  public func bearer(_ token: String) async throws -> Identity {
    guard token.utf8.count <= 512, let colon = token.firstIndex(of: ":") else {
      throw AccessError.invalidKey
    }
    let digest = Self.bearerDigest(token)
    // An unknown key costs a comparison too.
    let entry: CredentialCache.Entry?
    do {
      entry = try await credential(String(token[..<colon]))
    } catch is AccessError {
      entry = nil
    }
    let expected = entry?.key.bearerDigest ?? Self.bearerDigest("unknown")
    guard ConstantTime.equals(digest, expected), let entry else { throw AccessError.invalidKey }
    return Identity(user: entry.user, accessKeyID: entry.key.id)
  }

  /// Whether an identity may use a bucket: its owner may, and administrators.
  public func mayUse(_ bucket: Bucket, _ identity: Identity) -> Bool {
    identity.isAdministrator || bucket.owner == identity.user.id
  }

  static func bearerDigest(_ token: String) -> [UInt8] {
    Digest.hash(.sha256, token)
  }

  static func secretContext(_ accessKeyID: String) -> [UInt8] {
    Array("access key \(accessKeyID)".utf8)
  }

  private func credential(_ id: String) async throws -> CredentialCache.Entry {
    guard AccessKeyRules.isPlausible(id) else { throw AccessError.invalidKey }
    let now = MonotonicTime.nanoseconds
    if let known = cache.entry(id, now: now) { return try admit(known) }
    if cache.isStale(now: now) {
      cache.note(generation: try await metadata.identityGeneration(), now: now)
      if let known = cache.entry(id, now: now) { return try admit(known) }
    }
    let generation = cache.generation
    guard let (key, user) = try await metadata.accessKey(id) else { throw AccessError.invalidKey }
    let secret = try keys.openSecret(key.sealedSecret, context: Self.secretContext(id))
    let entry = CredentialCache.Entry(
      key: key, user: user, secret: String(decoding: secret, as: UTF8.self))
    cache.insert(entry, generation: generation)
    return try admit(entry)
  }

  private func admit(_ entry: CredentialCache.Entry) throws(AccessError) -> CredentialCache.Entry {
    guard !entry.key.isRevoked, !entry.user.isDisabled else { throw .invalidKey }
    if let expires = entry.key.expires, expires <= clock.now { throw .expired }
    return entry
  }
}
