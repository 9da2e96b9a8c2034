import Base
import Synchronization

/// Runs statements and notes each row of the logged tables that they change, as the database
/// returns it: no mutation can forget to.
final class RecordingSession: SQLSession {
  private let inner: any SQLSession

  init(_ inner: any SQLSession) {
    self.inner = inner
  }

  var memo: TransactionMemo { inner.memo }

  func now() async throws -> Timestamp { try await inner.now() }

  func snapshot() async throws { try await inner.snapshot() }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    guard let form = RecordedStatement.form(of: statement) else {
      return try await inner.query(statement, values)
    }
    return try await record(form, values).wanted
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    guard let form = RecordedStatement.form(of: statement) else {
      return try await inner.run(statement, values)
    }
    return try await record(form, values).count
  }

  func define(_ text: String) async throws { try await inner.define(text) }

  func execute(_ statement: SQLStatement, _ values: [SQLValue]) async throws {
    guard let form = RecordedStatement.form(of: statement) else {
      return try await inner.execute(statement, values)
    }
    if form.takesValues {
      try await inner.execute(form.statement, values)
      return note(form, values)
    }
    // Its rows come with the next answer that is waited for.
    memo.hasDeferred = true
    try await inner.check(form.statement, values) { [self] rows in
      for start in stride(from: 0, to: rows.values.count, by: rows.columnCount) {
        let row = rows.values[start..<start + rows.columnCount]
        note(form, Array(row.dropFirst(form.wantedCount)))
      }
    }
  }

  func check(
    _ statement: SQLStatement, _ values: [SQLValue], _ body: @escaping (SQLRows) throws -> Void
  ) async throws {
    guard RecordedStatement.form(of: statement) == nil else {
      return try body(try await query(statement, values))
    }
    try await inner.check(statement, values, body)
  }

  /// Runs the recorded form; what the statement itself asked for, and how many rows it changed.
  private func record(
    _ form: RecordedStatement, _ values: [SQLValue]
  ) async throws -> (wanted: SQLRows, count: Int) {
    if form.takesValues {
      let count = try await inner.run(form.statement, values)
      guard count > 0 else { return (SQLRows(columnCount: 1), 0) }
      note(form, values)
      return (SQLRows(columnCount: 1), count)
    }
    let rows = try await inner.query(form.statement, values)
    guard rows.count == 0 || rows.columnCount > form.wantedCount else {
      throw MetadataError.unavailable("a statement returned fewer columns than it was asked for")
    }
    var wanted = SQLRows(columnCount: form.wantedCount)
    for start in stride(from: 0, to: rows.values.count, by: rows.columnCount) {
      let middle = start + form.wantedCount
      wanted.values += rows.values[start..<middle]
      note(form, Array(rows.values[middle..<start + rows.columnCount]))
    }
    if form.wantedCount == 0 { wanted.values = [] }
    return (wanted, rows.count)
  }

  private func note(_ form: RecordedStatement, _ values: [SQLValue]) {
    guard !form.table.isLocal(values) else { return }
    memo.note(RowChange(table: form.table.number, isDelete: form.isDelete, values: values))
  }
}

/// The form of a statement that returns the rows which it changes.
struct RecordedStatement: Sendable {
  /// The statement to run.
  let statement: SQLStatement
  let table: LoggedTable
  let isDelete: Bool
  /// Columns that the statement returns of its own accord; they come first.
  let wantedCount: Int
  /// Whether the values that are bound are the row itself: nothing comes back.
  let takesValues: Bool

  private static let known = Mutex<[Int: RecordedStatement?]>([:])

  /// The recorded form of a statement that changes a logged table; nil for any other.
  static func form(of statement: SQLStatement) -> RecordedStatement? {
    if let form = known.withLock({ $0[statement.number] }) { return form }
    let made = make(statement)
    known.withLock { $0[statement.number] = .some(made) }
    return made
  }

  private static func make(_ statement: SQLStatement) -> RecordedStatement? {
    let text = statement.text
    let words = text.split(maxSplits: 3) { $0 == " " || $0 == "\n" || $0 == "(" }
    guard words.count >= 3 else { return nil }
    let name: Substring
    switch (words[0], words[1]) {
    case ("INSERT", "INTO"), ("DELETE", "FROM"): name = words[2]
    case ("UPDATE", _): name = words[1]
    default:
      // A change inside another statement would go by unseen.
      precondition(words[0] == "SELECT", "a statement whose changes cannot be recorded")
      return nil
    }
    guard let table = LoggedTable.named(name), table.isLogged else { return nil }
    let isDelete = words[0] == "DELETE"
    // Not sent back and forth, since it may be large.
    if table.name == "inline_data", words[0] == "INSERT", isWholeRow(text, table) {
      return RecordedStatement(
        statement: statement, table: table, isDelete: false, wantedCount: 0, takesValues: true)
    }
    let columns = isDelete ? table.keySelection : table.selection
    var wantedCount = 0
    var recorded = text
    if let clause = text.range(of: "RETURNING ") {
      wantedCount = text[clause.upperBound...].count { $0 == "," } + 1
      recorded += ", \(columns)"
    } else {
      recorded += " RETURNING \(columns)"
    }
    return RecordedStatement(
      statement: SQLStatement(recorded), table: table, isDelete: isDelete,
      wantedCount: wantedCount, takesValues: false)
  }

  /// Whether a statement inserts one row of values bound in the order of the table's columns.
  private static func isWholeRow(_ text: String, _ table: LoggedTable) -> Bool {
    let list = table.columns.joined(separator: ", ")
    let values = (1...table.columns.count).map { "$\($0)" }.joined(separator: ", ")
    let plain = text.split { $0 == " " || $0 == "\n" }.joined(separator: " ")
    return plain == "INSERT INTO \(table.name)(\(list)) VALUES(\(values))"
  }
}

extension String {
  /// Where `other` stands last, nil when it does not.
  fileprivate func range(of other: String) -> Range<String.Index>? {
    var found: Range<String.Index>?
    var index = startIndex
    while index < endIndex {
      let rest = self[index...]
      if rest.hasPrefix(other) {
        found = index..<self.index(index, offsetBy: other.count)
      }
      index = self.index(after: index)
    }
    return found
  }
}
