import Base

/// Making a database again out of a snapshot and the change log.
///
/// In this order: `beginRebuild`, `restore` for all rows of the snapshot, `stage` for all records of
/// the log in any order, `applyStaged`, `finishRebuild`. None of it is logged; a rebuild that was
/// interrupted is begun again with an empty database.
extension SQLMetadataStore {
  private enum SQL {
    static let anyRow = ["users", "buckets", "object_versions", "extents", "encryption_keys"].map {
      SQLStatement("SELECT 1 FROM \($0) LIMIT 1")
    }
    static let stage = SQLStatement(
      "INSERT INTO rebuild_log(number, body) VALUES($1, $2) ON CONFLICT DO NOTHING")
    static let staged = SQLStatement(
      "SELECT number, body FROM rebuild_log WHERE number > $1 ORDER BY number LIMIT $2")
    static let usage = SQLStatement(
      """
      INSERT INTO bucket_usage(bucket_id, objects, bytes)
      SELECT bucket_id, count(*), CAST(sum(size) AS @int) FROM objects WHERE live = 1
      GROUP BY bucket_id
      """)
    static let repairs = SQLStatement(
      """
      INSERT INTO repair_queue(extent, chunks, survivors, reason, queued_ms)
      SELECT id, missing, 0, 'not written', $1 FROM extents WHERE missing <> 0
      """)
    static let putMark = SQLStatement(
      "INSERT INTO change_marks(id, epoch, created_ms, touched) VALUES($1, 0, 0, $2)")
    static let deleteMark = SQLStatement("DELETE FROM change_marks WHERE id = $1")
    static let highestMark = SQLStatement("SELECT COALESCE(max(number), 0) FROM rebuild_log")
    static let epochs = [
      "SELECT COALESCE(max(id), 0) FROM object_versions",
      "SELECT COALESCE(max(id), 0) FROM multipart_uploads",
    ].map { SQLStatement($0) }
  }

  /// Transactions between the highest number that was found and the next one that is given: room
  /// for those that were numbered and never logged.
  static let numberMargin: Int64 = 1 << 20

  /// Prepares an empty database that has this release's schema. Throws `alreadyExists` when it
  /// holds something.
  public func beginRebuild() async throws {
    let dialect = driver.dialect
    try await driver.write(cost: 512) { session in
      for statement in SQL.anyRow where try await session.query(statement, []).count > 0 {
        throw MetadataError.alreadyExists("metadata")
      }
      try await session.define(
        dialect.render(
          """
          CREATE TABLE IF NOT EXISTS rebuild_log(
            number @int PRIMARY KEY, body @blob NOT NULL) @clustered
          """))
    }
  }

  /// Puts rows of one table, as `dump` gave them.
  public func restore(table number: UInt8, _ rows: [[SQLValue]]) async throws {
    guard let table = LoggedTable.numbered(number) else {
      throw MetadataError.unavailable("rows of table \(number), which this release does not know")
    }
    let cache = placements
    try await driver.write(cost: 512 * rows.count) { session in
      for row in rows { try await Self.put(row, table, cache, session) }
    }
  }

  /// Keeps records of the log until all are there; a record that is there already is the same.
  public func stage(_ records: [ChangeRecord]) async throws {
    guard !records.isEmpty else { return }
    _ = try await driver.write(cost: 1024 * records.count) { session in
      for record in records {
        var writer = ByteWriter(capacity: 256)
        record.encode(to: &writer)
        try await session.run(SQL.stage, [.int(record.number), .bytes(writer.bytes)])
      }
    }
  }

  /// Applies the staged records behind `floor` in the order of their numbers. Returns how many.
  ///
  /// `newer` are rows that the snapshot has as the transaction of that number, or a later one, left
  /// them: older changes of them are passed over, since the newer one may not be in the log.
  public func applyStaged(
    after floor: Int64, newer: [RowChange: Int64]
  ) async throws -> Int {
    var position = floor
    var count = 0
    let cache = placements
    while true {
      let start = position
      let records = try await driver.read { session in
        try await session.query(SQL.staged, [.int(start), .int(64)]).map { row in
          var reader = ByteReader(try row.bytes(1))
          do throws(FormatError) {
            let record = try ChangeRecord(from: &reader)
            try reader.expectEnd()
            return record
          } catch {
            throw MetadataError.unavailable("a record of the change log: \(error.message)")
          }
        }
      }
      guard let last = records.last else { return count }
      try await driver.write(cost: 4096 * records.count) { session in
        for record in records {
          for change in record.changes {
            try await Self.apply(change, number: record.number, newer, cache, session)
          }
        }
      }
      position = last.number
      count += records.count
    }
  }

  private static func apply(
    _ change: RowChange, number: Int64, _ newer: [RowChange: Int64], _ cache: PlacementCache,
    _ session: any SQLSession
  ) async throws {
    guard let table = LoggedTable.numbered(change.table),
      change.values.count >= table.keyCount
    else { throw MetadataError.unavailable("a change of an unknown table") }
    let key = Array(change.values.prefix(table.keyCount))
    let name = RowChange(table: change.table, isDelete: true, values: key)
    if let seen = newer[name], number <= seen { return }
    if change.isDelete {
      try await session.run(RowStatements.of(table).delete, key)
    } else {
      try await put(change.values, table, cache, session)
    }
  }

  private static func put(
    _ row: [SQLValue], _ table: LoggedTable, _ cache: PlacementCache, _ session: any SQLSession
  ) async throws {
    guard row.count > table.keyCount, row.count <= table.valueCount else {
      throw MetadataError.unavailable("a row of \(table.name) with \(row.count) values")
    }
    guard table.hasPlacement else {
      let statement = RowStatements.of(table).put(columns: row.count)
      if table.name == "object_versions" {
        return try await RebuildLeftovers.replace(statement, row, session)
      }
      try await session.run(statement, row)
      return
    }
    guard case .bytes(let stores)? = row.last else {
      throw MetadataError.unavailable("a row of \(table.name) without stores")
    }
    let placement = try await ExtentRows.placement(stores, cache: cache, session)
    try await session.run(
      RowStatements.of(table).put(columns: row.count - 1),
      row.dropLast() + [.int(placement)])
  }

  /// Counts anew what is derived, and sees to it that no number is given twice. Returns an epoch
  /// that no writer known to the tables has exceeded.
  public func finishRebuild(floor: Int64) async throws -> UInt64 {
    let isShared = driver.dialect == .postgres
    return try await driver.write(cost: 4096) { session in
      let now = try await session.now().milliseconds
      try await RebuildLeftovers.remove(session)
      try await session.run(SQL.usage, [])
      try await session.run(SQL.repairs, [.int(now)])
      let highest = max(
        floor, try await session.query(SQL.highestMark, []).first?.int(0) ?? 0)
      let next = highest &+ Self.numberMargin
      try await session.run(SQL.putMark, [.int(next), .bytes([])])
      try await session.run(SQL.deleteMark, [.int(next)])
      try await session.define("DROP TABLE rebuild_log")
      if isShared { try await Self.raiseSequences(marks: next, session) }
      var number: Int64 = 0
      for statement in SQL.epochs {
        number = max(number, try await session.query(statement, []).first?.int(0) ?? 0)
      }
      return UInt64(max(number, 0)) >> 36
    }
  }

  /// PostgreSQL's sequences do not follow rows that bring their numbers along.
  private static func raiseSequences(marks: Int64, _ session: any SQLSession) async throws {
    for table in LoggedTable.all where table.isNumbered {
      try await session.define(
        """
        SELECT setval(pg_get_serial_sequence('\(table.name)', 'id'),
          (SELECT COALESCE(max(id), 0) + 1 FROM \(table.name)), false)
        """)
    }
    try await session.define(
      "SELECT setval(pg_get_serial_sequence('change_marks', 'id'), \(marks))")
  }
}
