import Base
import Metadata
import MetadataPostgres
import Postgres
import TestSupport
import Testing

@Suite("Schema and plans in PostgreSQL", .enabled(if: PostgresServer.isInstalled))
struct PostgresSchemaTests {
  @Test("of eight who migrate at once exactly one does, and the others find it done")
  func migration() async throws {
    let (server, name) = try await TestDatabases.make(migrated: false)
    await #expect {
      _ = try await PostgresMetadata.open(url: server.url(name), threads: TestDatabases.threads)
    } throws: { error in
      guard case .unavailable(let text) = error as? MetadataError else { return false }
      return text.contains("s3storage migrate")
    }
    let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
      for _ in 0..<8 {
        group.addTask {
          try await PostgresMetadata.migrate(url: server.url(name), threads: TestDatabases.threads)
        }
      }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(applied.count { $0 == Array(1...Migrations.current) } == 1)
    #expect(applied.count { $0.isEmpty } == 7)
    let opened = try await PostgresMetadata.open(
      url: server.url(name), threads: TestDatabases.threads)
    _ = try await opened.store.beginWriter(minimum: 0, ringVersion: 0)
    await opened.close()
    await TestDatabases.drop(name)
  }

  @Test("a database that the next release has migrated is used, but not migrated")
  func next() async throws {
    let (server, name) = try await TestDatabases.make()
    try await TestDatabases.run(
      server,
      "INSERT INTO schema_migrations(number, applied_ms) VALUES(\(Migrations.current + 1), 0)",
      database: name)
    let metadata = try await PostgresMetadata.open(
      url: server.url(name), threads: TestDatabases.threads)
    try await metadata.store.setSetting("x", [1])
    await metadata.close()
    await #expect(throws: MetadataError.self) {
      _ = try await PostgresMetadata.migrate(
        url: server.url(name), threads: TestDatabases.threads)
    }
    await TestDatabases.drop(name)
  }

  @Test("a database of a release that is newer by more is refused and left alone")
  func newer() async throws {
    let (server, name) = try await TestDatabases.make()
    try await TestDatabases.run(
      server,
      """
      INSERT INTO schema_migrations(number, applied_ms)
      VALUES(\(Migrations.current + 1), 0), (\(Migrations.current + 2), 0)
      """, database: name)
    for newer in [
      {
        _ = try await PostgresMetadata.open(url: server.url(name), threads: TestDatabases.threads)
      },
      {
        _ = try await PostgresMetadata.migrate(
          url: server.url(name), threads: TestDatabases.threads)
      },
    ] as [@Sendable () async throws -> Void] {
      await #expect(throws: MetadataError.self) { try await newer() }
    }
    let rows = try await TestDatabases.run(
      server, "SELECT max(number) FROM schema_migrations", database: name)
    #expect(rows.rows == [["\(Migrations.current + 2)"]])
    await TestDatabases.drop(name)
  }

  @Test("a server whose commits are not durable is refused")
  func notDurable() async throws {
    let (server, name) = try await TestDatabases.make()
    try await TestDatabases.run(server, "ALTER DATABASE \(name) SET synchronous_commit = off")
    await #expect {
      _ = try await PostgresMetadata.open(url: server.url(name), threads: TestDatabases.threads)
    } throws: { error in
      guard case .unavailable(let text) = error as? MetadataError else { return false }
      return text.contains("synchronous_commit")
    }
    await TestDatabases.drop(name)
  }

  @Test(
    "no error shows the password",
    arguments: [
      "postgresql://user:hunter2secret@127.0.0.1:1/db", "postgresql://user:hunter2secret@[::1",
      "host=/nowhere password=hunter2secret", "postgresql://user:hunter2secret@host:port:1/db",
      "postgresql://u:hunter2secret@no.such.host.invalid/db",
    ])
  func password(url: String) async throws {
    await #expect {
      _ = try await PostgresMetadata.open(url: url, threads: TestDatabases.threads)
    } throws: { error in
      !"\(error)".contains("hunter2secret") && error is MetadataError
    }
  }

  /// Statements that walk along whole tables on purpose: for the operator, or over few rows.
  private static let mayScan = [
    // Snapshots and rebuilds walk along everything; marks and snapshots are few.
    "rebuild_log", "WHERE missing <> 0", "WHERE true ORDER BY", "metadata_snapshots",
    "v.nonce IS NULL AND (o.null_version", "(SELECT extent FROM tombstones)",
    "DELETE FROM multipart_parts\nWHERE NOT EXISTS",
    "change_marks", "SELECT COALESCE(max(", "GROUP BY bucket_id", "FROM writers WHERE state = 0",
    "SELECT 1 FROM users LIMIT", "SELECT 1 FROM buckets LIMIT",
    "SELECT 1 FROM object_versions LIMIT",
    "SELECT 1 FROM extents LIMIT", "SELECT 1 FROM encryption_keys LIMIT",
    "SELECT count(*)", "schema_migrations", "FROM access_keys k ORDER BY k.id", "encryption_keys",
    "usage_deltas", "max(epoch)", "writers SET state = 1", "FROM writers WHERE state = 1",
    "FROM writers WHERE state = 0", "FROM storage_servers ORDER BY", "FROM stores WHERE server_id",
    "UPDATE repair_queue SET not_before_ms = 0",
    "rebuild_log", "FROM extents WHERE missing <> 0", "UPDATE writers SET state = 0",
    "FROM stores", "FROM storage_servers",
  ]

  /// Plans that sort a few rows: those of one upload, version or user, those that wait for repair.
  private static let maySort = [
    "multipart_parts", "repair_queue", "SELECT extent FROM version_extents WHERE version",
    "FROM access_keys k WHERE k.user_id",
  ]

  @Test("no statement reads a whole table, at any size of it, but those that are meant to")
  func plans() async throws {
    let run = try await ModelRun(seed: 98, on: .postgres)
    for _ in 0..<200 { try await run.step() }
    try await run.checkAll()
    // Statements that the model does not run.
    _ = try await run.store.underSpread(after: nil, limit: 1)
    _ = try await run.store.listAccessKeys(of: Fixture.owner)
    _ = try await run.store.accessKey("none")
    _ = try await run.store.staleUploads(before: run.fixture.clock.now, limit: 1)
    _ = try await run.store.staleFiles(before: run.fixture.clock.now, limit: 1)
    _ = try await run.store.listFiles(user: Fixture.owner, state: nil, offset: 0, limit: 1)
    _ = try await run.store.listBuckets(
      tenant: 1, owner: nil, purpose: nil, prefix: "", after: "", limit: 5)
    guard case .postgres(_, let server, let name) = run.fixture.database else { return }
    // With and without statistics, the same.
    for isAnalysed in [false, true] {
      if isAnalysed { try await TestDatabases.run(server, "ANALYZE", database: name) }
      try await explain(server, name)
    }
    await run.fixture.close()
  }

  private func explain(_ server: PostgresServer, _ name: String) async throws {
    let statements = SQLStatement.all
    #expect(statements.count > 40)
    let url = server.url(name)
    let plans = try await TestDatabases.threads.run { () throws(PostgresError) in
      let deadline = Deadline(milliseconds: 60_000)
      var target = try ConnectionTarget(url)
      target.sessionSettings = PostgresDriver.sessionSettings
      let connection = try Connection.open(target, deadline: deadline)
      var plans: [(text: String, lines: [String])] = []
      for (number, statement) in statements.enumerated() {
        // Without a type that the driver would send, this operator is not known.
        let text = SQLDialect.postgres.render(statement)
          .replacing("~$1", with: "~CAST($1 AS BIGINT)")
          .replacing("~$2", with: "~CAST($2 AS BIGINT)")
        let count = (1...40).last { text.contains("$\($0)") } ?? 0
        let values =
          count == 0
          ? "" : "(" + Array(repeating: "NULL", count: count).joined(separator: ",") + ")"
        do throws(PostgresError) {
          _ = try connection.run("PREPARE p\(number) AS \(text)", deadline: deadline)
          let plan = QueryResultCopy(
            try connection.run("EXPLAIN EXECUTE p\(number)\(values)", deadline: deadline))
          plans.append((text, plan.rows.map { $0[0] }))
        } catch {
          guard error.state != nil else { throw error }
          plans.append((text, ["refused: \(error)"]))
        }
      }
      return plans
    }
    for (text, lines) in plans {
      // Statements of other tests, over tables of their own or none.
      if text.contains("INDEXED BY") || text.contains("/ CAST(0") || text.contains("pg_sleep") {
        continue
      }
      guard !Self.mayScan.contains(where: text.contains) else { continue }
      for line in lines {
        #expect(!line.contains("Seq Scan"), "\(line) in \(text)")
        #expect(!line.contains("refused"), "\(line) in \(text)")
        #expect(
          !line.contains("Sort") || Self.maySort.contains(where: text.contains),
          "\(line) in \(text)")
      }
    }
  }
}
