public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let columns = """
      id, user_id, bucket_id, name, state, size, content_type, sha256, created_ms, updated_ms
      """
    static let insert = SQLStatement(
      """
      INSERT INTO upload_sessions(\(columns)) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      ON CONFLICT DO NOTHING
      """)
    static let update = SQLStatement(
      """
      UPDATE upload_sessions SET state = $1, size = $2, sha256 = $3, updated_ms = $4
      WHERE id = $5
      """)
    static let byID = SQLStatement("SELECT \(columns) FROM upload_sessions WHERE id = $1")
    static let delete = SQLStatement("DELETE FROM upload_sessions WHERE id = $1")
    static let list = SQLStatement(
      """
      SELECT \(columns) FROM upload_sessions WHERE user_id = $1
      ORDER BY created_ms DESC, id DESC LIMIT $2 OFFSET $3
      """)
    static let count = SQLStatement("SELECT count(*) FROM upload_sessions WHERE user_id = $1")
    static let listByState = SQLStatement(
      """
      SELECT \(columns) FROM upload_sessions WHERE user_id = $1 AND state = $2
      ORDER BY created_ms DESC, id DESC LIMIT $3 OFFSET $4
      """)
    static let countByState = SQLStatement(
      "SELECT count(*) FROM upload_sessions WHERE user_id = $1 AND state = $2")
    static let stale = SQLStatement(
      """
      SELECT \(columns) FROM upload_sessions WHERE state < 2 AND updated_ms < $1
      ORDER BY updated_ms LIMIT $2
      """)
  }

  private static func file(_ row: SQLRow) throws -> FileRecord {
    guard let state = FileRecord.State(rawValue: try row.int(4)) else { throw SQLRow.corrupt(4) }
    var digest: SHA256Digest?
    if let bytes = try row.optionalBytes(7) {
      digest = SHA256Digest(bytes)
      guard digest != nil else { throw SQLRow.corrupt(7) }
    }
    return FileRecord(
      id: try row.id(0), user: UserID(try row.int(1)), bucket: BucketID(try row.int(2)),
      name: try row.text(3), state: state, size: try row.int(5), contentType: try row.text(6),
      sha256: digest, created: try row.time(8), updated: try row.time(9))
  }

  /// Begins a session. Throws `alreadyExists` when the id is taken.
  public func createFile(_ record: FileRecord) async throws {
    try await write(cost: 512 + record.name.utf8.count) { session in
      let inserted = try await session.run(
        SQL.insert,
        [
          .bytes(record.id.bytes), .int(record.user.number), .int(record.bucket.number),
          .text(record.name), .int(record.state.rawValue), .int(record.size),
          .text(record.contentType), .optional(record.sha256?.bytes),
          .int(record.created.milliseconds), .int(record.updated.milliseconds),
        ])
      guard inserted > 0 else { throw MetadataError.alreadyExists("file") }
    }
  }

  /// Moves a session on. Throws `notFound`.
  public func updateFile(
    _ id: FileID, state: FileRecord.State, size: Int64, sha256: SHA256Digest?
  ) async throws {
    try await leasedWrite(cost: 256) { session in
      let changed = try await session.run(
        SQL.update,
        [
          .int(state.rawValue), .int(size), .optional(sha256?.bytes),
          .int(try await session.now().milliseconds), .bytes(id.bytes),
        ])
      guard changed > 0 else { throw MetadataError.notFound("file") }
    }
  }

  /// A file, nil when there is none.
  public func file(_ id: FileID) async throws -> FileRecord? {
    try await driver.read { session in
      try await session.query(SQL.byID, [.bytes(id.bytes)]).first.map(Self.file)
    }
  }

  /// A page of a user's files, newest first, and how many there are in all.
  public func listFiles(
    user: UserID, state: FileRecord.State?, offset: Int, limit: Int
  ) async throws -> (files: [FileRecord], total: Int) {
    try await driver.read { session in
      try await session.snapshot()
      var filter: [SQLValue] = [.int(user.number)]
      if let state { filter.append(.int(state.rawValue)) }
      let rows = try await session.query(
        state == nil ? SQL.list : SQL.listByState,
        filter + [.int(Int64(max(limit, 0))), .int(Int64(max(offset, 0)))])
      let total = try await session.query(state == nil ? SQL.count : SQL.countByState, filter)
      return (try rows.map(Self.file), try total.first?.small(0) ?? 0)
    }
  }

  /// Forgets a file.
  public func deleteFile(_ id: FileID) async throws {
    _ = try await write(cost: 256) { session in
      try await session.run(SQL.delete, [.bytes(id.bytes)])
    }
  }

  /// Sessions that are neither completed nor failed and did not change since `before`.
  public func staleFiles(before: Timestamp, limit: Int) async throws -> [FileRecord] {
    try await driver.read { session in
      try await session.query(
        SQL.stale, [.int(before.milliseconds), .int(Int64(max(limit, 0)))]
      ).map(Self.file)
    }
  }
}
