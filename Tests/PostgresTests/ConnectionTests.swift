import Base
import Foundation
import Postgres
import Runtime
import TestSupport
import Testing

@Suite("Sessions with PostgreSQL", .enabled(if: PostgresServer.isInstalled))
struct ConnectionTests {
  private static let threads = ThreadPool(name: "test-postgres", threadCount: 4)

  private func connect(_ settings: [(String, String)] = []) async throws -> Connection {
    let server = try await PostgresServer.shared.value
    var target = try ConnectionTarget(server.url("postgres"))
    target.sessionSettings = settings
    return try Connection.open(target, deadline: soon)
  }

  private var soon: Deadline { Deadline(milliseconds: 30_000) }

  @Test("values go there and back as they are")
  func values() async throws {
    let connection = try await connect()
    let bytes = (0...255).map { UInt8($0) }
    let result = try connection.run(
      "SELECT CAST($1 AS BIGINT), $2, $3, CAST($4 AS TEXT), CAST(7 AS INTEGER), true, $5, $6",
      [
        .integer(Int64.min), .text("grün \u{1F600}"), .bytes(bytes), .null, .text(""), .bytes([]),
      ], deadline: soon)
    #expect(result.rowCount == 1 && result.columnCount == 8)
    #expect(
      (0..<8).map { result.value(row: 0, column: $0) } == [
        .integer(Int64.min), .text("grün \u{1F600}"), .bytes(bytes), .null, .integer(7),
        .integer(1), .text(""), .bytes([]),
      ])
    #expect(result.value(row: 1, column: 0) == .null)
    #expect(result.value(row: 0, column: 8) == .null)
    #expect(result.value(row: -1, column: -1) == .null)
  }

  @Test("negative numbers of every width keep their sign")
  func numbers() async throws {
    let connection = try await connect()
    let result = try connection.run(
      "SELECT CAST(-2 AS SMALLINT), CAST(-3 AS INTEGER), CAST(-4 AS BIGINT), CAST(1.5 AS NUMERIC)",
      deadline: soon)
    #expect(
      (0..<4).map { result.value(row: 0, column: $0) } == [
        .integer(-2), .integer(-3), .integer(-4), .other,
      ])
  }

  @Test("a statement is prepared once, whatever its values are later")
  func prepared() async throws {
    let connection = try await connect()
    let sql = "SELECT $1, CAST($2 AS BIGINT)"
    for number in [nil, 5, Int64.max, nil] as [Int64?] {
      try connection.send(number: 1, sql, [.text("a"), number.map(Parameter.integer) ?? .null])
      let result = try connection.finish(soon)
      #expect(result[0].integer(row: 0, column: 1) == number)
    }
    let count = try connection.run("SELECT count(*) FROM pg_prepared_statements", deadline: soon)
    #expect(count.integer(row: 0, column: 0) == 1)
  }

  @Test("many statements are one round trip, and one that is refused stops those behind it")
  func pipeline() async throws {
    let connection = try await connect()
    _ = try connection.run("CREATE TEMPORARY TABLE t(a BIGINT PRIMARY KEY)", deadline: soon)
    for number in 0..<100 as Range<Int64> {
      try connection.send(number: 2, "INSERT INTO t VALUES($1)", [.integer(number)])
    }
    #expect(try connection.finish(soon).map(\.affectedRows) == Array(repeating: 1, count: 100))
    try connection.send("INSERT INTO t VALUES(200)")
    try connection.send(number: 2, "INSERT INTO t VALUES($1)", [.integer(7)])
    try connection.send("INSERT INTO t VALUES(201)")
    #expect {
      _ = try connection.finish(soon)
    } throws: { error in
      guard case .refused(let state, _, let constraint) = error as? PostgresError else {
        return false
      }
      return state == .uniqueViolation && constraint == "t_pkey"
    }
    #expect(connection.isAlive)
    let count = try connection.run("SELECT count(*) FROM t", deadline: soon)
    #expect(count.integer(row: 0, column: 0) == 100)
  }

  @Test("a statement that was not prepared since one before it was refused is prepared later")
  func preparedAfterRefusal() async throws {
    let connection = try await connect()
    try connection.send("SELECT 1 / 0")
    try connection.send(number: 3, "SELECT CAST(1 AS BIGINT)", [])
    #expect(throws: PostgresError.self) { _ = try connection.finish(soon) }
    try connection.send(number: 3, "SELECT CAST(1 AS BIGINT)", [])
    #expect(try connection.finish(soon)[0].integer(row: 0, column: 0) == 1)
  }

  @Test("megabytes go both ways at once without a standstill")
  func large() async throws {
    let connection = try await connect()
    let bytes = [UInt8](repeating: 0x5a, count: 4 << 20)
    for _ in 0..<4 { try connection.send("SELECT $1", [.bytes(bytes)]) }
    for result in try connection.finish(soon) {
      #expect(result.value(row: 0, column: 0) == .bytes(bytes))
    }
  }

  @Test("what cannot be sent is refused, and the session stays as it was")
  func refused() async throws {
    let connection = try await connect()
    #expect(throws: PostgresError.invalidText) { try connection.send("SELECT $1", [.text("a\0")]) }
    #expect(throws: PostgresError.tooLarge) {
      try connection.send("SELECT $1", [.bytes([UInt8](repeating: 0, count: (64 << 20) + 1))])
    }
    #expect(throws: PostgresError.tooLarge) {
      try connection.send("SELECT 1", Array(repeating: .null, count: 65_536))
    }
    #expect(try connection.run("SELECT 1", deadline: soon).integer(row: 0, column: 0) == 1)
  }

  @Test("a deadline ends the wait, and the session with it")
  func deadline() async throws {
    let connection = try await connect()
    #expect(throws: PostgresError.deadlineExceeded) {
      _ = try connection.run("SELECT pg_sleep(60)", deadline: Deadline(milliseconds: 50))
    }
    #expect(!connection.isAlive)
  }

  @Test("an interrupt from another thread ends the wait")
  func interrupt() async throws {
    let server = try await PostgresServer.shared.value
    let target = try ConnectionTarget(server.url("postgres"))
    let interrupter = AsyncStream<Interrupter>.makeStream()
    let deadline = soon
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { () async throws -> Void in
        let error = await Self.threads.run { () -> PostgresError? in
          do throws(PostgresError) {
            let connection = try Connection.open(target, deadline: deadline)
            interrupter.continuation.yield(connection.interrupter)
            _ = try connection.run("SELECT pg_sleep(60)", deadline: deadline)
            return nil
          } catch {
            return error
          }
        }
        #expect(error == .cancelled)
      }
      for await found in interrupter.stream {
        found.interrupt()
        break
      }
      try await group.waitForAll()
    }
  }

  @Test("settings that the session begins with hold, with spaces in them too")
  func settings() async throws {
    let connection = try await connect([
      ("statement_timeout", "1234"), ("s3storage.text", "a b\\c, d"),
    ])
    let result = try connection.run(
      "SELECT current_setting('statement_timeout'), current_setting('s3storage.text')",
      deadline: soon)
    #expect(result.text(row: 0, column: 0) == "1234ms")
    #expect(result.text(row: 0, column: 1) == "a b\\c, d")
  }

  @Test("a session that the server has ended is not alive")
  func ended() async throws {
    let (first, second) = (try await connect(), try await connect())
    let pid = try first.run("SELECT pg_backend_pid()", deadline: soon).integer(row: 0, column: 0)
    #expect(first.isAlive)
    _ = try second.run(
      "SELECT pg_terminate_backend(CAST($1 AS INTEGER))", [.integer(try #require(pid))],
      deadline: soon)
    while first.isAlive { try await Task.sleep(for: .milliseconds(1)) }
    #expect {
      _ = try first.run("SELECT 1", deadline: soon)
    } throws: { error in
      (error as? PostgresError)?.leavesConnectionUsable == false
    }
  }

  @Test(
    "no text that is no URL is repeated in the error",
    arguments: [
      "postgresql://u:secret@[::1", "nonsense secret",
      "postgresql://u:secret@h/x?nonsense=1", "a\0b",
    ])
  func invalid(text: String) {
    #expect {
      _ = try ConnectionTarget(text)
    } throws: { error in
      error as? PostgresError == .invalidURL && !"\(error)".contains("secret")
    }
  }

  @Test("a target's description shows host and name, and no password")
  func description() throws {
    let target = try ConnectionTarget("postgresql://u:secret@host:77/name")
    #expect(target.description == "host/name")
  }

  @Test("no server there is an error at once")
  func absent() throws {
    let target = try ConnectionTarget("postgresql:///x?host=/no/such/directory")
    #expect {
      _ = try Connection.open(target, deadline: soon)
    } throws: { error in
      guard case .noConnection = error as? PostgresError else { return false }
      return true
    }
  }
}
