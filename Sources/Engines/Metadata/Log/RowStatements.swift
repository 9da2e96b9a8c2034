import Synchronization

/// The statements that read and write whole rows of one logged table.
final class RowStatements: Sendable {
  let table: LoggedTable
  /// One row by its key.
  let select: SQLStatement
  /// The first page of rows in the order of the key; `$1` is how many.
  let firstPage: SQLStatement
  /// The page behind a key; the last value is how many.
  let nextPage: SQLStatement
  /// Deletes one row by its key.
  let delete: SQLStatement
  private let puts = Mutex<[Int: SQLStatement]>([:])

  private static let known = Mutex<[UInt8: RowStatements]>([:])

  /// Those of a table, made once.
  static func of(_ table: LoggedTable) -> RowStatements {
    known.withLock { known in
      if let made = known[table.number] { return made }
      let made = RowStatements(table)
      known[table.number] = made
      return made
    }
  }

  private init(_ table: LoggedTable) {
    self.table = table
    let keys = Array(table.columns.prefix(table.keyCount))
    let matches = keys.enumerated().map { "\($1) = $\($0 + 1)" }.joined(separator: " AND ")
    let numbers = (1...keys.count).map { "$\($0)" }.joined(separator: ", ")
    let list = table.keySelection
    select = SQLStatement("SELECT \(table.selection) FROM \(table.name) WHERE \(matches)")
    delete = SQLStatement("DELETE FROM \(table.name) WHERE \(matches)")
    firstPage = SQLStatement(
      "SELECT \(table.selection) FROM \(table.name) WHERE true ORDER BY \(list) LIMIT $1")
    nextPage = SQLStatement(
      """
      SELECT \(table.selection) FROM \(table.name) WHERE (\(list)) > (\(numbers))
      ORDER BY \(list) LIMIT $\(keys.count + 1)
      """)
  }

  /// Inserts a row of so many columns, or replaces it; a placement's number comes last.
  func put(columns count: Int) -> SQLStatement {
    puts.withLock { puts in
      if let made = puts[count] { return made }
      let columns = table.columns.prefix(count) + (table.hasPlacement ? ["placement_id"] : [])
      let numbers = (1...columns.count).map { "$\($0)" }.joined(separator: ", ")
      let others = columns.dropFirst(table.keyCount)
      let changes = others.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
      let made = SQLStatement(
        """
        INSERT INTO \(table.name)(\(columns.joined(separator: ", "))) VALUES(\(numbers))
        ON CONFLICT(\(table.keySelection)) DO UPDATE SET \(changes)
        """)
      puts[count] = made
      return made
    }
  }
}
