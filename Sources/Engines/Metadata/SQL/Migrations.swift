import Base

/// Brings a database to the schema of this release.
public enum Migrations {
  /// The schema that this release writes.
  public static let current = 3

  private static let all: [(number: Int, statements: [String])] = [
    (1, Migration0001.statements), (2, Migration0002.statements),
    (3, Migration0003.statements),
  ]

  private static let applied = SQLStatement("SELECT max(number) FROM schema_migrations")
  private static let record = SQLStatement(
    "INSERT INTO schema_migrations(number, applied_ms) VALUES($1, $2)")

  /// Applies what is missing, each migration in a transaction of its own; does nothing to a
  /// database that is up to date. Returns the numbers that were applied.
  ///
  /// Throws `MetadataError.unavailable` for a database that a newer release has migrated, without
  /// changing it.
  @discardableResult
  public static func apply(to driver: some SQLDriver) async throws -> [Int] {
    let dialect = driver.dialect
    let before = try await driver.write(cost: 0) { session in
      try await version(dialect, session)
    }
    var done: [Int] = []
    for migration in all where migration.number > before {
      try await driver.write(cost: 0) { session in
        try await apply(migration, dialect, session)
      }
      done.append(migration.number)
    }
    return done
  }

  /// Applies what is missing inside one transaction, which keeps others out. Returns the numbers
  /// that were applied; throws as `apply(to:)`.
  public static func apply(
    in session: any SQLSession, dialect: SQLDialect
  ) async throws -> [Int] {
    let before = try await version(dialect, session)
    var done: [Int] = []
    for migration in all where migration.number > before {
      try await apply(migration, dialect, session)
      done.append(migration.number)
    }
    return done
  }

  /// The schema that a database has. Throws what its driver throws where it has none.
  public static func version(_ session: any SQLSession) async throws -> Int {
    Int(try await session.query(applied, []).first?.optionalInt(0) ?? 0)
  }

  private static func version(
    _ dialect: SQLDialect, _ session: any SQLSession
  ) async throws -> Int {
    try await session.define(
      dialect.render(
        """
        CREATE TABLE IF NOT EXISTS schema_migrations(
          number @int PRIMARY KEY, applied_ms @int NOT NULL) @clustered
        """))
    let version = try await version(session)
    guard version <= current else {
      throw MetadataError.unavailable(
        "the database has schema \(version), this release knows \(current): run a newer release")
    }
    return version
  }

  private static func apply(
    _ migration: (number: Int, statements: [String]), _ dialect: SQLDialect,
    _ session: any SQLSession
  ) async throws {
    for statement in migration.statements {
      try await session.define(dialect.render(statement))
    }
    try await session.run(
      record, [.int(Int64(migration.number)), .int(try await session.now().milliseconds)])
  }
}
