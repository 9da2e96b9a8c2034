public import Metadata
import Postgres
public import Runtime
public import Telemetry

/// The metadata of a cluster: the store over a PostgreSQL database.
public struct PostgresMetadata: Sendable {
  /// What everyone else uses.
  public let store: SQLMetadataStore
  /// The database below it.
  public let driver: PostgresDriver

  /// Opens the database at `url` (`postgresql://user:password@host:port/name`).
  ///
  /// Throws `MetadataError.unavailable` when it cannot be reached, when its commits are not durable
  /// (`fsync`, `full_page_writes` or `synchronous_commit` off), or when its schema is not this
  /// release's: only `migrate` changes that. `threads` and `clock` are for tests: threads to share,
  /// and a clock in place of the database's.
  public static func open(
    url: String, options: PostgresOptions = PostgresOptions(),
    random: any RandomSource = SystemRandom(), threads: ThreadPool? = nil,
    clock: (any WallClock)? = nil, log: Log = .none
  ) async throws -> PostgresMetadata {
    let driver = try PostgresDriver(
      url: url, threads: threads, clock: clock, random: random, options: options, log: log)
    do {
      try await checkSchema(driver)
      await driver.sweepOld()
    } catch {
      await driver.close()
      throw error
    }
    return PostgresMetadata(store: SQLMetadataStore(driver: driver, random: random), driver: driver)
  }

  /// Opens the database at `url` with so many connections at most.
  public static func open(
    url: String, poolSize: Int, log: Log = .none
  ) async throws -> PostgresMetadata {
    var options = PostgresOptions()
    options.poolSize = poolSize
    return try await open(url: url, options: options, log: log)
  }

  /// Brings the database at `url` to this release's schema, in one transaction that keeps others
  /// who do the same waiting. Returns the numbers of the migrations that were applied: none for a
  /// database that is up to date.
  ///
  /// Throws `MetadataError.unavailable` when the database cannot be reached or a newer release has
  /// migrated it.
  public static func migrate(
    url: String, threads: ThreadPool? = nil, log: Log = .none
  ) async throws -> [Int] {
    var options = PostgresOptions()
    options.poolSize = 1
    // Building an index over all keys takes what it takes.
    options.statementTimeout = 0
    options.answerTimeout = 24 * 3_600_000
    let driver = try PostgresDriver(
      url: url, threads: threads, clock: nil, random: SystemRandom(), options: options, log: log)
    do {
      let done = try await driver.migrate()
      await driver.close()
      return done
    } catch {
      await driver.close()
      throw error
    }
  }

  private static func checkSchema(_ driver: PostgresDriver) async throws {
    let version = try await driver.schemaVersion()
    // Two neighbouring releases run at once: a migration keeps what the release before it needs.
    guard version != Migrations.current, version != Migrations.current + 1 else { return }
    let advice =
      version < Migrations.current
      ? "run `s3storage migrate` with this release" : "run the release that migrated it"
    throw MetadataError.unavailable(
      "the database has schema \(version), this release needs \(Migrations.current): \(advice)")
  }

  /// Closes the connections that are idle, and the others as what runs on them ends.
  public func close() async {
    await driver.close()
  }
}
