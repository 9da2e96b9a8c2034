import Metadata

extension AccessControl {
  /// The name of the user that an installation begins with.
  public static let rootName = "root"

  /// Makes sure that there is a root user with keys.
  ///
  /// `preset` keys are added when they are new and take the place of the stored secret when it is
  /// another; without them a first start makes random ones. Returns the keys when they were made
  /// here, so that they can be shown once.
  public func ensureRoot(
    preset: (id: String, secret: String)?
  ) async throws -> NewAccessKey? {
    // Another process that starts at the same time may be faster with the user, and again with the
    // key: what it made is looked at.
    for _ in 0..<2 {
      do {
        return try await ensureRootOnce(preset: preset)
      } catch MetadataError.alreadyExists {
        continue
      }
    }
    return try await ensureRootOnce(preset: preset)
  }

  private func ensureRootOnce(
    preset: (id: String, secret: String)?
  ) async throws -> NewAccessKey? {
    let root: User
    if let known = try await metadata.user(named: Self.rootName, tenant: Self.defaultTenant) {
      root = known
    } else {
      root = try await createUser(name: Self.rootName, role: .administrator)
    }
    let existing = try await metadata.listAccessKeys(of: root.id).filter { !$0.isRevoked }
    guard let preset else {
      return existing.isEmpty ? try await createKey(user: root.name, note: "made at start") : nil
    }
    if let known = try await metadata.accessKey(preset.id) {
      let digest = Self.bearerDigest("\(preset.id):\(preset.secret)")
      guard known.user.id == root.id, !known.key.isRevoked, known.key.bearerDigest == digest
      else {
        throw AccessError.invalidInput(
          "the preset root access key exists with another secret or user, or was revoked")
      }
      return nil
    }
    _ = try await createKey(
      user: root.name, id: preset.id, secret: preset.secret, note: "preset at start")
    return nil
  }
}
