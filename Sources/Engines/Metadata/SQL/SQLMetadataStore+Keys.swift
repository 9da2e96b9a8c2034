import Base

extension SQLMetadataStore {
  private enum SQL {
    static let columns = """
      k.id, k.user_id, k.secret, k.bearer_digest, k.note, k.revoked, k.expires_ms, k.created_ms
      """
    static let user = "u.id, u.tenant_id, u.name, u.email, u.role, u.disabled, u.created_ms"
    static let insert = SQLStatement(
      """
      INSERT INTO access_keys(
        id, user_id, secret, bearer_digest, note, revoked, expires_ms, created_ms)
      VALUES($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
      """)
    static let userExists = SQLStatement("SELECT 1 FROM users WHERE id = $1")
    static let listAll = SQLStatement("SELECT \(columns) FROM access_keys k ORDER BY k.id")
    static let listOfUser = SQLStatement(
      "SELECT \(columns) FROM access_keys k WHERE k.user_id = $1 ORDER BY k.id")
    static let revoke = SQLStatement("UPDATE access_keys SET revoked = 1 WHERE id = $1")
    static let byID = SQLStatement(
      """
      SELECT \(columns), \(user) FROM access_keys k JOIN users u ON u.id = k.user_id
      WHERE k.id = $1
      """)
    static let byBearer = SQLStatement(
      """
      SELECT \(columns), \(user) FROM access_keys k JOIN users u ON u.id = k.user_id
      WHERE k.bearer_digest = $1
      """)
    static let encryptionKeys = SQLStatement(
      "SELECT number, wrapped, master_check, created_ms FROM encryption_keys ORDER BY number")
    // A row that all who replace keys write first: one after the other.
    static let lockEncryptionKeys = SQLStatement(
      """
      INSERT INTO settings(name, value) VALUES('encryption_keys_lock', $1)
      ON CONFLICT(name) DO UPDATE SET value = excluded.value
      """)
    static let deleteEncryptionKeys = SQLStatement("DELETE FROM encryption_keys WHERE number > 0")
    static let insertEncryptionKey = SQLStatement(
      """
      INSERT INTO encryption_keys(number, wrapped, master_check, created_ms)
      VALUES($1, $2, $3, $4)
      """)
    static let setting = SQLStatement("SELECT value FROM settings WHERE name = $1")
    static let setSetting = SQLStatement(
      """
      INSERT INTO settings(name, value) VALUES($1, $2)
      ON CONFLICT(name) DO UPDATE SET value = excluded.value
      """)
  }

  private static func key(_ row: SQLRow) throws -> AccessKey {
    AccessKey(
      id: try row.text(0), user: UserID(try row.int(1)), sealedSecret: try row.bytes(2),
      bearerDigest: try row.bytes(3), note: try row.text(4), isRevoked: try row.int(5) != 0,
      expires: try row.optionalInt(6).map { Timestamp(milliseconds: $0) },
      created: try row.time(7))
  }

  /// Adds a key; its `created` is set by the database. Throws `alreadyExists` when the id is taken
  /// and `notFound` without its user.
  public func createAccessKey(_ key: AccessKey) async throws -> AccessKey {
    try await write(cost: 512) { session in
      guard try await session.query(SQL.userExists, [.int(key.user.number)]).count > 0 else {
        throw MetadataError.notFound("user")
      }
      var made = key
      made.created = try await session.now()
      let inserted = try await session.run(
        SQL.insert,
        [
          .text(key.id), .int(key.user.number), .bytes(key.sealedSecret),
          .bytes(key.bearerDigest), .text(key.note), .int(key.isRevoked ? 1 : 0),
          .optional(key.expires?.milliseconds), .int(made.created.milliseconds),
        ])
      guard inserted > 0 else { throw MetadataError.alreadyExists("access key") }
      try await Self.raiseGeneration(session)
      return made
    }
  }

  /// Keys of a user, or of everyone, by id.
  public func listAccessKeys(of user: UserID?) async throws -> [AccessKey] {
    try await driver.read { session in
      let rows =
        if let user {
          try await session.query(SQL.listOfUser, [.int(user.number)])
        } else {
          try await session.query(SQL.listAll, [])
        }
      return try rows.map(Self.key)
    }
  }

  /// Revokes a key for good. Throws `notFound`.
  public func revokeAccessKey(_ id: String) async throws {
    try await write(cost: 256) { session in
      guard try await session.run(SQL.revoke, [.text(id)]) > 0 else {
        throw MetadataError.notFound("access key")
      }
      try await Self.raiseGeneration(session)
    }
  }

  /// A key and its user, nil when there is none.
  public func accessKey(_ id: String) async throws -> (key: AccessKey, user: User)? {
    try await find(SQL.byID, .text(id))
  }

  /// A key by the digest of its bearer form, nil when there is none.
  public func accessKey(bearerDigest: [UInt8]) async throws -> (key: AccessKey, user: User)? {
    try await find(SQL.byBearer, .bytes(bearerDigest))
  }

  private func find(
    _ statement: SQLStatement, _ value: SQLValue
  ) async throws -> (key: AccessKey, user: User)? {
    try await driver.read { session in
      guard let row = try await session.query(statement, [value]).first else { return nil }
      return (try Self.key(row), try Self.user(row, at: 8))
    }
  }

  /// All key-encryption keys.
  public func encryptionKeys() async throws -> [StoredEncryptionKey] {
    try await driver.read { session in try await Self.encryptionKeys(session) }
  }

  private static func encryptionKeys(
    _ session: any SQLSession
  ) async throws -> [StoredEncryptionKey] {
    try await session.query(SQL.encryptionKeys, []).map { row in
      guard let number = UInt32(exactly: try row.int(0)) else { throw SQLRow.corrupt(0) }
      return StoredEncryptionKey(
        number: number, wrapped: try row.bytes(1), masterCheck: try row.bytes(2),
        created: try row.time(3))
    }
  }

  /// Replaces the stored form of all key-encryption keys in one transaction: a first one, a new
  /// number, or all re-wrapped. Throws `preconditionFailed` unless the numbers stored now are
  /// `expected`, in any order, and all of them are among the new ones: a key that extents name is
  /// never dropped.
  public func replaceEncryptionKeys(
    _ keys: [StoredEncryptionKey], expected: [UInt32]
  ) async throws {
    try await write(cost: 512 + 256 * keys.count) { session in
      try await session.execute(SQL.lockEncryptionKeys, [.bytes([])])
      let stored = try await Self.encryptionKeys(session).map(\.number)
      let numbers = Set(keys.map(\.number))
      guard stored == expected.sorted(), numbers.isSuperset(of: stored),
        numbers.count == keys.count, !numbers.contains(0)
      else { throw MetadataError.preconditionFailed }
      try await session.run(SQL.deleteEncryptionKeys, [])
      for key in keys {
        try await session.run(
          SQL.insertEncryptionKey,
          [
            .int(Int64(key.number)), .bytes(key.wrapped), .bytes(key.masterCheck),
            .int(key.created.milliseconds),
          ])
      }
    }
  }

  /// A value of the installation by name, such as `cluster_id`; nil when it was never set.
  public func setting(_ name: String) async throws -> [UInt8]? {
    try await driver.read { session in
      try await session.query(SQL.setting, [.text(name)]).first?.bytes(0)
    }
  }

  /// Sets a value of the installation.
  public func setSetting(_ name: String, _ value: [UInt8]) async throws {
    _ = try await leasedWrite(cost: 256 + value.count) { session in
      try await session.run(SQL.setSetting, [.text(name), .bytes(value)])
    }
  }
}
