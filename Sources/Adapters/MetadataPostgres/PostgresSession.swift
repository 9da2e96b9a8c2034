import Base
import Metadata
import Postgres
import Runtime

/// Runs statements on one connection; blocks its thread while the server works. Used by one task.
///
/// What `execute` and `check` hand over goes out with the next statement that is waited for, all in
/// one round trip; a transaction begins with its first statement.
final class PostgresSession: SQLSession {
  enum Mode {
    /// Each statement by itself, until `snapshot`.
    case read
    /// All statements in one transaction.
    case write
  }

  /// What identifies the transaction while the server has it.
  struct Started: Sendable {
    /// By the database's clock.
    var microseconds: Int64
    /// The server's process.
    var process: Int64
  }

  /// What becomes of the results of one round trip.
  private enum Expectation {
    case nothing
    case started
    case check((SQLRows) throws -> Void)
    case answer
  }

  let memo = TransactionMemo()
  private(set) var started: Started?
  /// Whether a transaction is open.
  private(set) var isOpen = false
  /// Whether any statement changed something, as far as its text tells.
  private(set) var hasWritten = false
  private(set) var failure: (any Error)?
  /// Whether the server was, or may have been, asked to commit.
  private(set) var sentCommit = false

  private let connection: Connection
  private let context: SessionContext
  private let mode: Mode
  private var expectations: [Expectation] = []
  private var hasSnapshot = false

  init(_ connection: Connection, _ context: SessionContext, _ mode: Mode) {
    self.connection = connection
    self.context = context
    self.mode = mode
  }

  func now() async throws -> Timestamp {
    if let clock = context.clock { return clock.now }
    if mode == .write {
      if started == nil {
        try openIfNeeded()
        _ = try roundTrip()
      }
      guard let started else { throw MetadataError.unavailable("the database tells no time") }
      return Timestamp(milliseconds: started.microseconds / 1000)
    }
    return Timestamp(milliseconds: try await query(Self.clock, []).first?.int(0) ?? 0)
  }

  func snapshot() async throws {
    guard mode == .read, !hasSnapshot else { return }
    hasSnapshot = true
  }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    try send(statement, values, .answer)
    return Self.rows(try roundTrip())
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    try send(statement, values, .answer)
    return try roundTrip()?.affectedRows ?? 0
  }

  func execute(_ statement: SQLStatement, _ values: [SQLValue]) async throws {
    try keepBack(statement, values, .nothing)
  }

  func check(
    _ statement: SQLStatement, _ values: [SQLValue], _ body: @escaping (SQLRows) throws -> Void
  ) async throws {
    try keepBack(statement, values, .check(body))
  }

  /// Sends a statement whose answer is not waited for; but not beyond a bound, so that neither side's
  /// buffers grow with the size of a transaction.
  private func keepBack(
    _ statement: SQLStatement, _ values: [SQLValue], _ expectation: Expectation
  ) throws {
    try send(statement, values, expectation)
    if expectations.count >= Self.maximumBatch { _ = try roundTrip() }
  }

  func define(_ text: String) async throws {
    try openIfNeeded()
    hasWritten = true
    try keepingFailure { () throws(PostgresError) in try connection.send(text) }
    expectations.append(.answer)
    _ = try roundTrip()
  }

  // MARK: - Transactions

  /// Sends everything that was kept back, `record` and the commit: one round trip.
  ///
  /// Returns what the commit answered; nil where nothing had begun. What it throws leaves the
  /// outcome open when `sentCommit` and the connection is broken; else nothing was committed.
  func commit(recording record: (SQLStatement, [SQLValue])?) throws -> String? {
    if let failure { throw failure }
    guard isOpen else { return nil }
    // What a check says must be known before the commit goes out.
    if hasChecks { _ = try roundTrip() }
    sentCommit = true
    try keepingFailure { () throws(PostgresError) in
      if let record {
        try post(record.0, record.1)
        expectations.append(.nothing)
      }
      try connection.send("COMMIT")
    }
    expectations.append(.answer)
    let command = try finish().last?.command
    isOpen = false
    return command
  }

  private var hasChecks: Bool {
    expectations.contains { expectation in
      if case .check = expectation { return true }
      return false
    }
  }

  /// Takes back what is open. The connection is closed where that does not work.
  func rollBack() {
    guard isOpen || !expectations.isEmpty, !connection.isBroken else { return }
    isOpen = false
    expectations = []
    do throws(PostgresError) {
      // What was kept back goes out too, to be undone: it is in the library's buffer.
      try connection.send("ROLLBACK")
      _ = try connection.finish(context.answerDeadline)
    } catch {
      // Statements before it may have failed again, and skipped it with them.
      guard error.leavesConnectionUsable else { return }
      do throws(PostgresError) {
        _ = try connection.run("ROLLBACK", deadline: context.answerDeadline)
      } catch {
        connection.interrupt()
      }
    }
  }

  // MARK: - Statements

  private static let maximumBatch = 256
  private static let clock = SQLStatement(
    "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")
  private static let start = SQLStatement(
    "SELECT CAST(extract(epoch FROM now()) * 1000000 AS BIGINT), pg_backend_pid()")

  private func openIfNeeded() throws {
    if let failure { throw failure }
    guard !isOpen, mode == .write || hasSnapshot else { return }
    isOpen = true
    try keepingFailure { () throws(PostgresError) in
      switch mode {
      case .write:
        try connection.send("BEGIN ISOLATION LEVEL READ COMMITTED")
        expectations.append(.nothing)
        for setting in context.localSettings {
          try connection.send("SET LOCAL \(setting.name) = '\(setting.value)'")
          expectations.append(.nothing)
        }
        try post(Self.start, [])
        expectations.append(.started)
      case .read:
        try connection.send("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        expectations.append(.nothing)
      }
    }
  }

  private func send(
    _ statement: SQLStatement, _ values: [SQLValue], _ expectation: Expectation
  ) throws {
    try openIfNeeded()
    if !hasWritten, !statement.text.hasPrefix("SELECT") { hasWritten = true }
    try keepingFailure { () throws(PostgresError) in try post(statement, values) }
    expectations.append(expectation)
  }

  private func post(
    _ statement: SQLStatement, _ values: [SQLValue]
  ) throws(PostgresError) {
    let parameters = values.map(Self.parameter)
    if context.keepsStatements {
      try connection.send(
        number: statement.number, SQLDialect.postgres.render(statement.text), parameters)
    } else {
      try connection.send(SQLDialect.postgres.render(statement.text), parameters)
    }
  }

  /// Sends what was handed over and waits. Returns the last result.
  private func roundTrip() throws -> QueryResult? {
    if let failure { throw failure }
    return try finish().last
  }

  private func finish() throws -> [QueryResult] {
    let expected = expectations
    expectations = []
    let begun = MonotonicTime.nanoseconds
    var results: [QueryResult] = []
    try keepingFailure { () throws(PostgresError) in
      results = try connection.finish(context.answerDeadline)
    }
    context.metrics.addQuery(nanoseconds: MonotonicTime.nanoseconds &- begun)
    for (expectation, result) in zip(expected, results) {
      switch expectation {
      case .nothing, .answer: break
      case .started:
        started = Started(
          microseconds: result.integer(row: 0, column: 0) ?? 0,
          process: result.integer(row: 0, column: 1) ?? 0)
      case .check(let body):
        do {
          try body(Self.rows(result))
        } catch {
          failure = error
          throw error
        }
      }
    }
    return results
  }

  /// Keeps the first error: a transaction in which something failed is not committed, whatever its
  /// body makes of the error.
  private func keepingFailure(_ body: () throws(PostgresError) -> Void) throws {
    do throws(PostgresError) {
      try body()
    } catch {
      failure = failure ?? error
      throw error
    }
  }
}

extension PostgresSession {
  private static func parameter(_ value: SQLValue) -> Parameter {
    switch value {
    case .null: .null
    case .int(let number): .integer(number)
    case .text(let text): .text(text)
    case .bytes(let bytes): .bytes(bytes)
    }
  }

  fileprivate static func rows(_ result: QueryResult?) -> SQLRows {
    guard let result else { return SQLRows(columnCount: 1) }
    var rows = SQLRows(columnCount: result.columnCount)
    rows.values.reserveCapacity(result.rowCount * result.columnCount)
    for row in 0..<result.rowCount {
      for column in 0..<result.columnCount {
        switch result.value(row: row, column: column) {
        case .integer(let number): rows.values.append(.int(number))
        case .text(let text): rows.values.append(.text(text))
        case .bytes(let bytes): rows.values.append(.bytes(bytes))
        // No column is declared to hold other types; whoever expects another kind throws.
        case .null, .other: rows.values.append(.null)
        }
      }
    }
    return rows
  }
}

/// What all sessions of a driver share.
struct SessionContext: Sendable {
  var clock: (any WallClock)?
  var keepsStatements: Bool
  var localSettings: [(name: String, value: String)]
  var answerTimeout: Int
  var metrics: PostgresMetrics

  var answerDeadline: Deadline { Deadline(milliseconds: answerTimeout) }
}
