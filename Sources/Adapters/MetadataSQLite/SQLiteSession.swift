import Base
import Metadata
import Runtime
import SQLite

/// Runs statements on one connection; never suspends. Confined to the thread that has the
/// connection.
final class SQLiteSession: SQLSession {
  let connection: Connection
  let memo = TransactionMemo()
  private let clock: any WallClock
  /// By `SQLStatement.number`.
  private var statements: [Statement?] = []
  private var hasSnapshot = false

  /// Whether each mutation gets a savepoint once it writes: it shares its transaction with others.
  private var isolates = false
  private var hasSavepoint = false
  private var hasWritten = false
  private var memoBefore = TransactionMemo.Content()

  init(_ connection: Connection, clock: any WallClock) {
    self.connection = connection
    self.clock = clock
  }

  func now() async throws -> Timestamp { clock.now }

  func snapshot() async throws {
    guard !hasSnapshot, !connection.isInTransaction else { return }
    try execute("BEGIN")
    hasSnapshot = true
  }

  /// Ends a read, so that no snapshot is held.
  func endRead() {
    guard hasSnapshot else { return }
    hasSnapshot = false
    // A read transaction cannot fail to end; if it did, the next one would not begin, and say so.
    try? execute("COMMIT")
  }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    let compiled = try prepared(statement)
    if !compiled.isReadOnly { try willWrite() }
    defer { compiled.reset() }
    try bind(values, to: compiled)
    let columnCount = compiled.columnCount
    var rows = SQLRows(columnCount: columnCount)
    while try compiled.step() {
      for column in 0..<columnCount { rows.values.append(Self.value(compiled, column)) }
    }
    return rows
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    let compiled = try prepared(statement)
    if !compiled.isReadOnly { try willWrite() }
    defer { compiled.reset() }
    try bind(values, to: compiled)
    while try compiled.step() {}
    return connection.changes
  }

  func define(_ text: String) async throws {
    try willWrite()
    try connection.execute(text)
  }

  private static func value(_ statement: Statement, _ column: Int) -> SQLValue {
    switch statement.kind(at: column) {
    case .integer: .int(statement.integer(at: column))
    case .text: .text(statement.text(at: column))
    case .bytes: .bytes(statement.bytes(at: column))
    // No column is declared to hold such numbers; whoever expects another kind throws.
    case .real, .null: .null
    }
  }

  private func bind(_ values: [SQLValue], to statement: Statement) throws(SQLiteError) {
    guard values.count == statement.parameterCount else {
      throw SQLiteError(extendedCode: SQLiteError.range, doing: "bind")
    }
    for index in values.indices {
      switch values[index] {
      case .null: try statement.bindNull(at: index + 1)
      case .int(let number): try statement.bind(number, at: index + 1)
      case .text(let text): try statement.bind(text, at: index + 1)
      case .bytes(let bytes): try statement.bind(bytes, at: index + 1)
      }
    }
  }

  private func prepared(_ statement: SQLStatement) throws(SQLiteError) -> Statement {
    let number = statement.number
    if number < statements.count, let compiled = statements[number] { return compiled }
    let compiled = try connection.prepare(SQLDialect.sqlite.render(statement.text))
    // SQLite numbers `$n` by first appearance: the repository's order, or values would be mixed up.
    for index in 0..<compiled.parameterCount {
      guard compiled.parameterName(at: index + 1) == "$\(index + 1)" else {
        throw SQLiteError(extendedCode: SQLiteError.range, doing: "number parameters")
      }
    }
    while statements.count <= number { statements.append(nil) }
    statements[number] = compiled
    return compiled
  }

  func execute(_ text: StaticString) throws(SQLiteError) {
    let statement = try connection.cached(String(describing: text))
    defer { statement.reset() }
    _ = try statement.step()
  }
}

/// Mutations inside a transaction.
extension SQLiteSession {
  /// Begins one of the mutations of a transaction.
  func beginMutation(isolated: Bool) {
    isolates = isolated
    hasSavepoint = false
    hasWritten = false
    memoBefore = memo.content
  }

  private func willWrite() throws(SQLiteError) {
    if isolates && !hasSavepoint {
      try execute("SAVEPOINT mutation")
      hasSavepoint = true
    }
    hasWritten = true
  }

  /// Keeps what the mutation wrote.
  func keepMutation() throws(SQLiteError) {
    if hasSavepoint { try execute("RELEASE mutation") }
    hasSavepoint = false
  }

  /// Takes back what the mutation wrote; one that is alone takes back its transaction.
  func revertMutation() throws(SQLiteError) {
    memo.content = memoBefore
    // SQLite ends a transaction by itself after some errors.
    guard connection.isInTransaction else { return }
    if hasSavepoint {
      try execute("ROLLBACK TO mutation")
      try execute("RELEASE mutation")
    } else if hasWritten {
      try execute("ROLLBACK")
    }
    hasSavepoint = false
  }

  /// Writes what the memo gathered, as a part of the transaction itself.
  func flushMemo() async throws {
    isolates = false
    try await memo.flush(to: self)
  }
}
