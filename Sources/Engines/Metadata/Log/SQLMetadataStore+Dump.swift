public import Base
import Synchronization

extension SQLMetadataStore {
  /// Rows that are read at once.
  private static let dumpPage = 256
  /// Bytes of rows in one item, about.
  private static let dumpItemLength = 256 << 10

  /// Reads all logged tables as they are at one moment and hands them to `sink`, item by item; what
  /// is in memory at a time is bounded.
  ///
  /// `floor` is what `changeBarrier` gave before; nothing between the two matters, since it is in
  /// the log. Throws what `sink` throws.
  public func dump(
    cluster: ClusterID, log: [UInt8], floor: Int64,
    to sink: @escaping @Sendable (SnapshotItem) async throws -> Void
  ) async throws {
    let hasBegun = Mutex(false)
    try await driver.read { session in
      // A second run would repeat what was handed over already.
      guard
        !hasBegun.withLock({ begun in
          defer { begun = true }
          return begun
        })
      else { throw MetadataError.unavailable("the snapshot was interrupted") }
      try await session.snapshot()
      let now = try await session.now()
      try await sink(
        .header(
          SnapshotHeader(
            cluster: cluster, log: log, floor: floor, created: now, schema: Migrations.current)))
      var count = 0
      for table in LoggedTable.all {
        count += try await Self.dump(table, session, to: sink)
      }
      var after = floor
      while true {
        let marks = try await Self.changeMarks(after: after, limit: Self.dumpPage, session)
        for mark in marks { try await sink(.mark(number: mark.number, mark.rows)) }
        guard let last = marks.last else { break }
        after = last.number
      }
      try await sink(.end(rows: count))
    }
  }

  private static func dump(
    _ table: LoggedTable, _ session: any SQLSession,
    to sink: @Sendable (SnapshotItem) async throws -> Void
  ) async throws -> Int {
    let statements = RowStatements.of(table)
    var total = 0
    var last: [SQLValue]?
    var rows: [[SQLValue]] = []
    var length = 0
    while true {
      let page =
        if let last {
          try await session.query(statements.nextPage, last + [.int(Int64(dumpPage))])
        } else {
          try await session.query(statements.firstPage, [.int(Int64(dumpPage))])
        }
      for start in stride(from: 0, to: page.values.count, by: page.columnCount) {
        let row = Array(page.values[start..<start + page.columnCount])
        last = Array(row.prefix(table.keyCount))
        if table.isLocal(row) { continue }
        rows.append(row)
        total += 1
        length += row.reduce(0) { $0 + $1.length }
        if length >= dumpItemLength {
          try await sink(.rows(table: table.number, rows))
          (rows, length) = ([], 0)
        }
      }
      if page.count < dumpPage { break }
    }
    if !rows.isEmpty { try await sink(.rows(table: table.number, rows)) }
    return total
  }
}

extension SQLValue {
  /// About how many bytes it takes.
  fileprivate var length: Int {
    switch self {
    case .null: 1
    case .int: 9
    case .text(let text): 3 + text.utf8.count
    case .bytes(let bytes): 3 + bytes.count
    }
  }
}
