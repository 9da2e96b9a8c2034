import Base

/// Brings a database to the schema of this release.
public enum Migrations {
  /// The schema that this release writes.
  public static let current = 2

  private static let all: [(number: Int, statements: [String])] = [
    (1, Migration0001.statements), (2, Migration0002.statements),
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
      try await session.define(
        dialect.render(
          """
          CREATE TABLE IF NOT EXISTS schema_migrations(
            number @int PRIMARY KEY, applied_ms @int NOT NULL) @clustered
          """))
      return Int(try await session.query(applied, []).first?.optionalInt(0) ?? 0)
    }
    guard before <= current else {
      throw MetadataError.unavailable(
        "the database has schema \(before), this release knows \(current): run a newer release")
    }
    var done: [Int] = []
    for migration in all where migration.number > before {
      try await driver.write(cost: 0) { session in
        for statement in migration.statements {
          try await session.define(dialect.render(statement))
        }
        try await session.run(
          record, [.int(Int64(migration.number)), .int(try await session.now().milliseconds)])
      }
      done.append(migration.number)
    }
    return done
  }
}
