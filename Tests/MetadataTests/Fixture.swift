import Base
import Foundation
import Metadata
import MetadataPostgres
import MetadataSQLite
import Runtime
import Synchronization
import TestSupport

/// A metadata store on a database of its own, and makers of what goes into it.
final class Fixture: Sendable {
  /// Threads live as long as the process, so that all fixtures share them.
  static let pool = ThreadPool(name: "test-metadata", threadCount: 3)

  /// What is below the store.
  enum Database: Sendable {
    case sqlite(SQLiteMetadata)
    case postgres(PostgresMetadata, server: PostgresServer, name: String)
  }

  let directory: String
  let clock = ManualClock()
  let random: SeededRandom
  let database: Database
  private let counter = Mutex<UInt64>(1)

  var store: SQLMetadataStore {
    switch database {
    case .sqlite(let metadata): metadata.store
    case .postgres(let metadata, _, _): metadata.store
    }
  }

  var path: String { directory + "/metadata.sqlite" }

  /// The SQLite database: for tests of that alone.
  var metadata: SQLiteMetadata {
    guard case .sqlite(let metadata) = database else { preconditionFailure("not SQLite") }
    return metadata
  }

  /// Round trips to PostgreSQL so far.
  var roundTrips: Int { postgres.driver.metrics.durations.counts.reduce(0) { $0 + Int($1) } }

  /// The PostgreSQL database: for tests of that alone.
  var postgres: PostgresMetadata {
    guard case .postgres(let metadata, _, _) = database else {
      preconditionFailure("not PostgreSQL")
    }
    return metadata
  }

  init(
    seed: UInt64 = 1, directory: String? = nil, options: SQLiteOptions = SQLiteOptions()
  ) async throws {
    let made = directory ?? Fixture.makeDirectory()
    self.directory = made
    random = SeededRandom(seed: seed)
    database = .sqlite(
      try await SQLiteMetadata.open(
        path: made + "/metadata.sqlite", clock: clock, random: random, pool: Fixture.pool,
        options: options))
    _ = try await store.beginWriter(minimum: 0, ringVersion: 0)
  }

  /// A busy machine is no reason for a test to fail: only tests of impatience are impatient.
  static var patientOptions: PostgresOptions {
    var options = PostgresOptions()
    options.patience = 120_000
    options.connectTimeout = 120_000
    options.retryTime = 120_000
    options.resolveTime = 120_000
    return options
  }

  /// On either database.
  static func on(_ kind: DatabaseKind, seed: UInt64 = 1) async throws -> Fixture {
    switch kind {
    case .sqlite: try await Fixture(seed: seed)
    case .postgres:
      try await Fixture(postgres: patientOptions, seed: seed)
    }
  }

  /// On PostgreSQL. `url` makes the URL of a proxy out of the server and the database's name.
  init(
    postgres options: PostgresOptions, seed: UInt64 = 1, databaseClock: Bool = false,
    url: (@Sendable (PostgresServer, String) throws -> String)? = nil
  ) async throws {
    directory = Fixture.makeDirectory()
    random = SeededRandom(seed: seed)
    let (server, name) = try await TestDatabases.make()
    let metadata = try await PostgresMetadata.open(
      url: try url?(server, name) ?? server.url(name), options: options,
      threads: TestDatabases.threads, clock: databaseClock ? nil : clock)
    database = .postgres(metadata, server: server, name: name)
    _ = try await store.beginWriter(minimum: 0, ringVersion: 0)
  }

  deinit {
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Closes the database; a PostgreSQL one is removed.
  func close() async {
    switch database {
    case .sqlite(let metadata): await metadata.close()
    case .postgres(let metadata, _, let name):
      await metadata.close()
      await TestDatabases.drop(name)
    }
  }

  /// What is wrong with the database's file; nothing is looked for in PostgreSQL.
  func quickCheck() async throws -> [String] {
    guard case .sqlite(let metadata) = database else { return [] }
    return try await metadata.driver.quickCheck()
  }

  static func makeDirectory() -> String {
    let path = NSTemporaryDirectory() + "s3storage-metadata-" + UUID().uuidString
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
  }

  /// A number and nonce that nothing else has.
  func opaqueID(epoch: UInt64 = 1) -> OpaqueID {
    let count = counter.withLock { counter in
      counter += 1
      return counter
    }
    return OpaqueID(
      number: VersionNumber(epoch: epoch, counter: count), nonce: random.next())
  }

  func extent(_ length: Int64, missing: UInt32 = 0) -> Extent {
    Extent(
      id: ExtentID(epoch: 1, random: (UInt16(truncatingIfNeeded: random.next()), random.next())),
      dataCount: 4, parityCount: 2, plaintextLength: length, transform: 0,
      wrappedKey: random.bytes(60), stores: Fixture.stores,
      digests: (0..<6).compactMap { _ in SHA256Digest(random.bytes(32)) }, missing: missing)
  }

  static let stores = (1...6).map { StoreID(high: 7, low: UInt64($0)) }
  static let owner = UserID(1)

  func bucket(_ name: String = "bucket") async throws -> Bucket {
    try await store.createBucket(name: name, tenant: 1, owner: Fixture.owner, purpose: .s3)
  }

  func inlineCommit(
    _ bucket: Bucket, _ key: [UInt8], size: Int64 = 5, etag: String = "e",
    condition: WriteCondition = .none
  ) -> ObjectCommit {
    ObjectCommit(
      bucket: bucket.id, key: key, version: opaqueID(),
      content: .inline(
        InlineData(
          extent: extent(size).id, wrappedKey: random.bytes(60), transform: 0,
          sealed: random.bytes(Int(size) + 16))),
      size: size, etag: etag, attributes: ObjectAttributes(), checksum: nil,
      storageClass: "STANDARD", owner: Fixture.owner, condition: condition)
  }

  func extentCommit(
    _ bucket: Bucket, _ key: [UInt8], extents: [Extent], etag: String = "e",
    condition: WriteCondition = .none
  ) -> ObjectCommit {
    ObjectCommit(
      bucket: bucket.id, key: key, version: opaqueID(), content: .extents(extents),
      size: extents.reduce(0) { $0 + $1.plaintextLength }, etag: etag,
      attributes: ObjectAttributes(), checksum: nil, storageClass: "STANDARD",
      owner: Fixture.owner, condition: condition)
  }
}

extension Fixture {
  /// Commits an object of so many extents of 100 bytes, `all`; these.
  func object(ofExtents count: Int, in bucket: Bucket) async throws -> [Extent] {
    let extents = (0..<count).map { _ in extent(100) }
    _ = try await store.commit(extentCommit(bucket, .init(key: "all"), extents: extents))
    return extents
  }
}

extension [UInt8] {
  init(key: String) { self = Array(key.utf8) }
}
