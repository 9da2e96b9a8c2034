import Metadata
import SQLite

/// The tables of a database: SQLite in memory. Confined to the thread of the simulation.
final class SimulatedTables {
  let connection: Connection
  private var statements: [Int: Statement] = [:]

  init() throws {
    connection = try Connection(path: ":memory:", mode: .readWrite)
    try connection.execute("PRAGMA foreign_keys=ON")
  }

  func prepared(_ statement: SQLStatement) throws -> Statement {
    if let known = statements[statement.number] { return known }
    let compiled = try connection.prepare(SQLDialect.sqlite.render(statement.text))
    statements[statement.number] = compiled
    return compiled
  }

  /// All rows as they are now, for a read that sees one state of the database whatever commits
  /// meanwhile. Precondition: no transaction runs.
  func copy() throws -> SimulatedTables {
    let copy = try SimulatedTables()
    try copy.connection.execute("PRAGMA foreign_keys=OFF")
    try copy.connection.execute("BEGIN")
    let schema = try connection.prepare(
      "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    while try schema.step() {
      try copy.connection.execute(schema.text(at: 1))
      try copy.fill(schema.text(at: 0), from: connection)
    }
    try copy.connection.execute("COMMIT")
    return copy
  }

  private func fill(_ table: String, from source: Connection) throws {
    let rows = try source.prepare("SELECT * FROM \(table)")
    let places = (1...rows.columnCount).map { "?\($0)" }.joined(separator: ", ")
    let insert = try connection.prepare("INSERT INTO \(table) VALUES(\(places))")
    while try rows.step() {
      let values = (0..<rows.columnCount).map { SimulatedSession.value(rows, $0) }
      try SimulatedSession.bind(values, to: insert)
      while try insert.step() {}
      insert.reset()
    }
  }
}
