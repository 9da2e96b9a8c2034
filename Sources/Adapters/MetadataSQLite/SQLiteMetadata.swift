public import Metadata
public import Runtime
public import Telemetry

/// The metadata of an installation on one machine: the store over one SQLite file.
public struct SQLiteMetadata: Sendable {
  /// What everyone else uses.
  public let store: SQLMetadataStore
  /// The database below it: to close it, and to check it.
  public let driver: SQLiteDriver

  /// Opens the file at `path`, or makes it, and brings it to this release's schema.
  ///
  /// `pool` runs the reads; two to four threads are enough. Throws `MetadataError.unavailable` when
  /// the file cannot be opened, another process has it, or a newer release has migrated it.
  public static func open(
    path: String, clock: any WallClock = SystemWallClock(),
    random: any RandomSource = SystemRandom(), pool: ThreadPool,
    options: SQLiteOptions = SQLiteOptions(), log: Log = .none
  ) async throws -> SQLiteMetadata {
    let driver = try await SQLiteDriver.open(
      path: path, clock: clock, pool: pool, options: options, log: log)
    do {
      try await Migrations.apply(to: driver)
    } catch {
      await driver.close()
      throw error
    }
    return SQLiteMetadata(
      store: SQLMetadataStore(driver: driver, random: random), driver: driver)
  }

  /// Finishes what is in line, closes the file and gives it free.
  public func close() async {
    await driver.close()
  }
}
