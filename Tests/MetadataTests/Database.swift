import Base
import Metadata
import MetadataPostgres
import MetadataSQLite
import Postgres
import Runtime
import Synchronization
import TestSupport
import Testing

/// The databases that the suites run on.
enum DatabaseKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case sqlite
  case postgres

  /// Those that are on this machine.
  static let available: [DatabaseKind] =
    PostgresServer.isInstalled ? [.sqlite, .postgres] : [.sqlite]

  var testDescription: String { rawValue }
}

/// Databases with this release's schema on the server that the tests share.
enum TestDatabases {
  /// Threads live as long as the process, so that all drivers share them.
  static let threads = ThreadPool(name: "test-postgres", threadCount: 64)
  private static let counter = Mutex(0)

  private static let template: Task<PostgresServer, any Error> = Task.detached {
    let server = try await PostgresServer.shared.value
    try await run(server, "CREATE DATABASE template_s3storage")
    let applied = try await PostgresMetadata.migrate(
      url: server.url("template_s3storage"), threads: threads)
    precondition(applied == Array(1...Migrations.current), "the template is new")
    return server
  }

  /// The name of a new, empty database with the schema, and its server.
  static func make(migrated: Bool = true) async throws -> (server: PostgresServer, name: String) {
    let server = try await template.value
    let name = counter.withLock { counter in
      counter += 1
      return "test\(counter)"
    }
    let source = migrated ? "template_s3storage" : "template0"
    try await run(server, "CREATE DATABASE \(name) TEMPLATE \(source)")
    return (server, name)
  }

  static func drop(_ name: String) async {
    guard let server = try? await template.value else { return }
    _ = try? await run(server, "DROP DATABASE IF EXISTS \(name) WITH (FORCE)")
  }

  /// Runs one statement in a session of its own.
  @discardableResult
  static func run(
    _ server: PostgresServer, _ statement: String, database: String = "postgres"
  ) async throws -> QueryResultCopy {
    let url = server.url(database)
    return try await threads.run { () throws(PostgresError) in
      let deadline = Deadline(milliseconds: 60_000)
      let connection = try Connection.open(try ConnectionTarget(url), deadline: deadline)
      return QueryResultCopy(try connection.run(statement, deadline: deadline))
    }
  }
}

/// The rows of a result as text.
struct QueryResultCopy: Sendable {
  var rows: [[String]] = []

  init(_ result: QueryResult) {
    for row in 0..<result.rowCount {
      rows.append(
        (0..<result.columnCount).map { column in
          switch result.value(row: row, column: column) {
          case .text(let text): text
          case .integer(let number): String(number)
          case .bytes(let bytes): "\(bytes)"
          case .null, .other: ""
          }
        })
    }
  }
}
