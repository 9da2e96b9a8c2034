import Base
import Foundation
import Metadata
import MetadataSQLite
import SQLite
import Testing

@Suite("Schema and statements")
struct SchemaTests {
  @Test("migrating twice does nothing the second time")
  func idempotent() async throws {
    let fixture = try await Fixture()
    #expect(try await Migrations.apply(to: fixture.metadata.driver).isEmpty)
    let bucket = try await fixture.bucket()
    await fixture.close()
    let again = try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    #expect(try await again.store.bucket(bucket.id) == bucket)
    await again.close()
  }

  @Test("a database of a newer release is refused and left alone")
  func newer() async throws {
    let fixture = try await Fixture()
    await fixture.close()
    do {
      let connection = try Connection(path: fixture.path, mode: .readWrite)
      try connection.execute(
        "INSERT INTO schema_migrations(number, applied_ms) VALUES(\(Migrations.current + 1), 0)")
    }
    await #expect {
      _ = try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    } throws: { error in
      guard case .unavailable(let text) = error as? MetadataError else { return false }
      return text.contains("newer release")
    }
    let connection = try Connection(path: fixture.path, mode: .readWrite)
    #expect(
      try connection.number("SELECT max(number) FROM schema_migrations")
        == Int64(Migrations.current + 1))
  }

  @Test("the first migration is written in words that PostgreSQL's dialect knows too")
  func dialects() {
    for dialect in SQLDialect.allCases {
      let text = dialect.render("@blob @int @id @clustered @share @update @live a@b")
      #expect(text.hasSuffix(" a@b"))
      #expect(text.filter { $0 == "@" }.count == 1)
    }
  }

  @Test("attributes that are not as they were written throw", arguments: 0..<40)
  func corruptAttributes(position: Int) async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    var commit = fixture.inlineCommit(bucket, .init(key: "k"))
    commit.attributes = ObjectAttributes(
      headers: [.init(name: "content-type", value: "text/plain")],
      metadata: [.init(name: "n", value: "value")])
    _ = try await fixture.store.commit(commit)
    await fixture.close()
    do {
      let connection = try Connection(path: fixture.path, mode: .readWrite)
      let read = try connection.prepare("SELECT attributes FROM object_versions")
      #expect(try read.step())
      let stored = read.bytes(at: 0)
      read.reset()
      let write = try connection.prepare("UPDATE object_versions SET attributes = $1")
      try write.bind(Array(stored.prefix(position % stored.count)), at: 1)
      #expect(try !write.step())
      write.reset()
    }
    let again = try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    await #expect(throws: MetadataError.self) {
      try await again.store.lookUp(
        bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: false)
    }
    await again.close()
  }

  /// Statements that walk along whole tables on purpose: for the operator, or over few rows.
  private static let mayScan = [
    "SELECT count(*)", "schema_migrations", "FROM access_keys k ORDER BY k.id", "encryption_keys",
    "usage_deltas", "max(epoch)", "writers SET state = 1", "FROM writers WHERE state = 1",
    "FROM writers WHERE state = 0", "FROM storage_servers ORDER BY", "FROM stores WHERE server_id",
    "UPDATE repair_queue SET not_before_ms = 0", "metadata_snapshots",
    // Snapshots and rebuilds walk along everything.
    "SELECT COALESCE(max(", "GROUP BY bucket_id", "WHERE missing <> 0", "rebuild_log",
    "SELECT 1 FROM users LIMIT", "SELECT 1 FROM buckets LIMIT",
    "SELECT 1 FROM object_versions LIMIT",
    "SELECT 1 FROM extents LIMIT", "WHERE true ORDER BY", "change_marks",
    // Along its index, in the order of need, up to the limit.
    "FROM repair_queue q",
    // The first page of a dump, and whether a table is empty.
    " LIMIT $1", "LIMIT 1", "FROM metadata_snapshots", "change_marks",
    "v.nonce IS NULL AND (o.null_version", "(SELECT extent FROM tombstones)",
    "DELETE FROM multipart_parts\nWHERE NOT EXISTS",
    // What tests change by hand.
    "UPDATE writers SET state = 0", "FROM extents WHERE missing <> 0", "FROM stores",
    "FROM storage_servers",
  ]

  /// In the few statements that the PostgreSQL driver, and its tests, add.
  private static let ofPostgres = ["extract(epoch", "pg_", "rebuild_log", "LOCK TABLE"]

  @Test("no statement scans a table, but those that are meant to")
  func plans() async throws {
    let fixture = try await Fixture()
    // Running everything once makes all statements known.
    let run = try await ModelRun(seed: 99)
    for _ in 0..<200 { try await run.step() }
    try await run.checkAll()
    await run.fixture.close()
    await fixture.close()
    let connection = try Connection(path: fixture.path, mode: .readOnly)
    let statements = SQLStatement.all
    #expect(statements.count > 40)
    for statement in statements where !Self.ofPostgres.contains(where: statement.contains) {
      let text = SQLDialect.sqlite.render(statement)
      guard !Self.mayScan.contains(where: text.contains) else { continue }
      guard let plan = try? connection.prepare("EXPLAIN QUERY PLAN " + text) else {
        Issue.record("SQLite does not understand \(text)")
        continue
      }
      while try plan.step() {
        let line = plan.text(at: 3)
        let scans = line.hasPrefix("SCAN") && line != "SCAN CONSTANT ROW"
        #expect(!scans || line.contains("(subquery"), "\(line) in \(text)")
        #expect(!line.contains("TEMP B-TREE"), "\(line) in \(text)")
      }
    }
  }

  @Test("a backup made under writes is a consistent database of its own")
  func backup() async throws {
    var options = SQLiteOptions()
    options.backupStepPages = 8
    let fixture = try await Fixture(options: options)
    let bucket = try await fixture.bucket()
    for index in 0..<300 {
      _ = try await fixture.store.commit(
        fixture.inlineCommit(bucket, .init(key: "before\(index)"), size: 2000))
    }
    let copy = fixture.directory + "/copy.sqlite"
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await fixture.store.backup(to: copy) }
      group.addTask {
        for index in 0..<200 {
          _ = try await fixture.store.commit(
            fixture.extentCommit(
              bucket, .init(key: "during\(index)"), extents: [fixture.extent(7)]))
        }
      }
      try await group.waitForAll()
    }
    await #expect(throws: MetadataError.alreadyExists("file")) {
      try await fixture.store.backup(to: copy)
    }
    let restored = try await SQLiteMetadata.open(path: copy, pool: Fixture.pool)
    #expect(try await restored.driver.quickCheck().isEmpty)
    let counts = try await restored.store.counts()
    #expect(counts.inlineObjects == 300)
    #expect(counts.versions == 300 + counts.extents)
    #expect(counts.objects == counts.versions)
    await restored.close()
    await fixture.close()
    #expect(!FileManager.default.fileExists(atPath: copy + ".partial"))
  }
}
