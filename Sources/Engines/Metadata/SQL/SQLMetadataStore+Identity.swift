import Base

extension SQLMetadataStore {
  private enum SQL {
    static let columns = "id, tenant_id, name, email, role, disabled, created_ms"
    static let insert = SQLStatement(
      """
      INSERT INTO users(tenant_id, name, email, role, created_ms) VALUES($1, $2, $3, $4, $5)
      ON CONFLICT DO NOTHING RETURNING id
      """)
    static let list = SQLStatement(
      "SELECT \(columns) FROM users WHERE tenant_id = $1 AND name > $2 ORDER BY name LIMIT $3")
    static let byName = SQLStatement(
      "SELECT \(columns) FROM users WHERE tenant_id = $1 AND name = $2")
    static let byID = SQLStatement("SELECT \(columns) FROM users WHERE id = $1")
    static let setDisabled = SQLStatement("UPDATE users SET disabled = $1 WHERE id = $2")
    static let generation = SQLStatement("SELECT value FROM settings WHERE name = $1")
    // Locked: two changes at once count as two.
    static let lockGeneration = SQLStatement(
      "SELECT value FROM settings WHERE name = $1 @update")
    static let insertGeneration = SQLStatement("INSERT INTO settings(value, name) VALUES($1, $2)")
    static let setGeneration = SQLStatement("UPDATE settings SET value = $1 WHERE name = $2")
  }

  /// The setting that counts changes of identities, as a little-endian number of 64 bits.
  private static let generationName = "identity_generation"

  static func user(_ row: SQLRow, at first: Int = 0) throws -> User {
    guard let role = User.Role(rawValue: try row.text(first + 4)) else {
      throw SQLRow.corrupt(first + 4)
    }
    return User(
      id: UserID(try row.int(first)), tenant: try row.int(first + 1),
      name: try row.text(first + 2), email: try row.optionalText(first + 3), role: role,
      isDisabled: try row.int(first + 5) != 0, created: try row.time(first + 6))
  }

  /// Tells caches that identities changed, in the transaction that changes them.
  static func raiseGeneration(_ session: any SQLSession) async throws {
    let row = try await session.query(SQL.lockGeneration, [.text(generationName)]).first
    var writer = ByteWriter(capacity: 8)
    writer.write(try generation(row) &+ 1)
    // Of two that insert the first, one collides and is run again.
    try await session.run(
      row == nil ? SQL.insertGeneration : SQL.setGeneration,
      [.bytes(writer.bytes), .text(generationName)])
  }

  private static func generation(_ row: SQLRow?) throws -> Int64 {
    guard let row else { return 0 }
    var reader = ByteReader(try row.bytes(0))
    guard let value = try? reader.readInteger(Int64.self), reader.isAtEnd else {
      throw SQLRow.corrupt(0)
    }
    return value
  }

  /// Makes a user. Throws `alreadyExists`.
  public func createUser(
    name: String, tenant: Int64, email: String?, role: User.Role
  ) async throws -> User {
    try await write(cost: 512) { session in
      let now = try await session.now()
      let inserted = try await session.query(
        SQL.insert,
        [
          .int(tenant), .text(name), .optional(email), .text(role.rawValue),
          .int(now.milliseconds),
        ])
      guard let row = inserted.first else { throw MetadataError.alreadyExists("user") }
      try await Self.raiseGeneration(session)
      return User(
        id: UserID(try row.int(0)), tenant: tenant, name: name, email: email, role: role,
        isDisabled: false, created: now)
    }
  }

  /// Users of a tenant by name.
  public func listUsers(tenant: Int64, after: String, limit: Int) async throws -> [User] {
    try await driver.read { session in
      try await session.query(
        SQL.list, [.int(tenant), .text(after), .int(Int64(max(limit, 0)))]
      ).map { try Self.user($0) }
    }
  }

  /// The user of that name, nil when there is none.
  public func user(named name: String, tenant: Int64) async throws -> User? {
    try await driver.read { session in
      try await session.query(SQL.byName, [.int(tenant), .text(name)]).first.map {
        try Self.user($0)
      }
    }
  }

  /// The user of that id, nil when there is none.
  public func user(_ id: UserID) async throws -> User? {
    try await driver.read { session in
      try await session.query(SQL.byID, [.int(id.number)]).first.map { try Self.user($0) }
    }
  }

  /// Refuses or admits a user from now on. Throws `notFound`.
  public func setDisabled(_ id: UserID, _ isDisabled: Bool) async throws {
    try await write(cost: 256) { session in
      let changed = try await session.run(
        SQL.setDisabled, [.int(isDisabled ? 1 : 0), .int(id.number)])
      guard changed > 0 else { throw MetadataError.notFound("user") }
      try await Self.raiseGeneration(session)
    }
  }

  /// Changes whenever a user, key or policy changes: what caches compare.
  public func identityGeneration() async throws -> Int64 {
    try await driver.read { session in
      try Self.generation(
        try await session.query(SQL.generation, [.text(Self.generationName)]).first)
    }
  }
}
