public import Base
public import Metadata
import Runtime
import Sealing

/// A new pair of keys; the secret is shown this once.
public struct NewAccessKey: Sendable {
  /// The public half.
  public var id: String
  /// The secret half.
  public var secret: String
  /// The user.
  public var user: User
}

extension AccessControl {
  private static let idAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

  /// Makes a user. Throws `AccessError.invalidInput`, `MetadataError.alreadyExists`.
  public func createUser(
    name: String, email: String? = nil, role: User.Role = .user
  ) async throws -> User {
    try AccessKeyRules.check(userName: name)
    defer { cache.invalidate() }
    return try await metadata.createUser(
      name: name, tenant: Self.defaultTenant, email: email, role: role)
  }

  /// All users by name.
  public func users() async throws -> [User] {
    var result: [User] = []
    while true {
      let page = try await metadata.listUsers(
        tenant: Self.defaultTenant, after: result.last?.name ?? "", limit: 1000)
      result += page
      if page.count < 1000 { return result }
    }
  }

  /// The user of that name. Throws `MetadataError.notFound`.
  public func user(named name: String) async throws -> User {
    guard let user = try await metadata.user(named: name, tenant: Self.defaultTenant) else {
      throw MetadataError.notFound("user \(name)")
    }
    return user
  }

  /// Refuses or admits a user. Throws `MetadataError.notFound`.
  public func setDisabled(_ name: String, _ isDisabled: Bool) async throws {
    defer { cache.invalidate() }
    try await metadata.setDisabled(try await user(named: name).id, isDisabled)
  }

  /// Makes a key for a user, with a given id and secret or random ones.
  public func createKey(
    user name: String, id: String? = nil, secret: String? = nil, note: String = "",
    expires: Timestamp? = nil
  ) async throws -> NewAccessKey {
    let user = try await user(named: name)
    let id = id ?? randomID()
    let secret = secret ?? Base64.encodeURLSafe(random.bytes(30))
    try AccessKeyRules.check(id: id, secret: secret)
    let key = AccessKey(
      id: id, user: user.id,
      sealedSecret: keys.sealSecret(
        Array(secret.utf8), context: Self.secretContext(id), random: random.bytes),
      bearerDigest: Self.bearerDigest("\(id):\(secret)"), note: note, isRevoked: false,
      expires: expires, created: clock.now)
    defer { cache.invalidate() }
    _ = try await metadata.createAccessKey(key)
    return NewAccessKey(id: id, secret: secret, user: user)
  }

  /// Keys of one user or of all.
  public func accessKeys(user name: String?) async throws -> [AccessKey] {
    guard let name else { return try await metadata.listAccessKeys(of: nil) }
    return try await metadata.listAccessKeys(of: try await user(named: name).id)
  }

  /// Revokes a key for good. Throws `MetadataError.notFound`.
  public func revokeKey(_ id: String) async throws {
    defer { cache.invalidate() }
    try await metadata.revokeAccessKey(id)
  }

  private func randomID() -> String {
    let letters = random.bytes(20).map { Self.idAlphabet[Int($0 & 31)] }
    return String(decoding: letters, as: UTF8.self)
  }
}
