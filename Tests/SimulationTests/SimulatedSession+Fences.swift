import Base
import Metadata
import SQLite

/// What no transaction may do, whoever let it: looked at in the rows, when it is about to commit.
extension SimulatedSession {
  private static let writer = SQLStatement("SELECT state FROM writers WHERE epoch = $1")
  private static let lease = SQLStatement(
    "SELECT holder, fence FROM leases WHERE name = $1")

  /// Takes note of whose work a statement records.
  func noteMade(_ statement: SQLStatement, _ values: [SQLValue]) {
    // Marks tell of changes; by themselves, as a barrier leaves them, they are none.
    if !statement.text.hasPrefix("SELECT"), !statement.text.contains(" change_marks") {
      hasChanged = true
    }
    guard let first = values.first else { return }
    switch first {
    case .bytes(let bytes) where statement.text.hasPrefix("INSERT INTO extents("):
      if let id = ExtentID(bytes: bytes), !SystemExtentID.isReserved(id) { made.insert(id.epoch) }
    case .int(let number) where statement.text.hasPrefix("INSERT INTO object_versions("):
      made.insert(UInt64(max(number, 0)) >> 36)
    default: break
    }
  }

  /// A writer that was fenced makes nothing, and work whose lease was taken over records nothing.
  func checkFences() throws {
    if isObserver { return }
    for epoch in made.sorted() {
      let state = try look(Self.writer, [.int(Int64(epoch))]).first?.first
      if state != .int(0) {
        database.violations.append("the fenced writer \(epoch) commits")
      }
    }
    guard hasChanged, let lease = WorkLease.current else { return }
    let row = try look(Self.lease, [.text(lease.name)]).first
    if row != [.int(lease.holder), .int(lease.fence)] {
      database.violations.append("work of lease \(lease.fence) commits, which was taken over")
    }
  }

  private func look(_ statement: SQLStatement, _ values: [SQLValue]) throws -> [[SQLValue]] {
    let compiled = try database.tables.prepared(statement)
    defer { compiled.reset() }
    try Self.bind(values, to: compiled)
    var rows: [[SQLValue]] = []
    while try compiled.step() {
      rows.append((0..<compiled.columnCount).map { Self.value(compiled, $0) })
    }
    return rows
  }

  /// Whether a broken double leaves a statement out.
  func isForgotten(_ statement: SQLStatement) -> Bool {
    isObserver && database.faults.keepsDeleted && statement.text.hasPrefix("DELETE FROM object")
  }

  /// What a broken double says instead of what is so.
  func brokenAnswer(_ statement: SQLStatement) -> SQLRows? {
    if isObserver { return nil }
    let faults = database.faults
    if faults.ignoresFences, statement.text.hasPrefix("SELECT state FROM writers") {
      return SQLRows(columnCount: 1, values: [.int(0)])
    }
    if faults.ignoresLeases, let lease = WorkLease.current,
      statement.text.hasPrefix("SELECT holder, fence FROM leases")
    {
      return SQLRows(columnCount: 2, values: [.int(lease.holder), .int(lease.fence)])
    }
    if faults.hidesWriters, statement.text.hasPrefix("SELECT epoch, lease_ms, ring_version") {
      return SQLRows(columnCount: 4)
    }
    return nil
  }
}
