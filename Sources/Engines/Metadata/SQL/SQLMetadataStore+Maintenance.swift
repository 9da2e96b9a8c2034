public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let fold = SQLStatement(
      """
      DELETE FROM usage_deltas WHERE id IN (SELECT id FROM usage_deltas ORDER BY id LIMIT $1)
      RETURNING bucket_id, objects, bytes
      """)
    // A bucket that is gone has no usage.
    static let addUsage = SQLStatement(
      """
      INSERT INTO bucket_usage(bucket_id, objects, bytes)
      SELECT id, $1, $2 FROM buckets WHERE id = $3
      ON CONFLICT(bucket_id) DO UPDATE SET objects = bucket_usage.objects + excluded.objects,
        bytes = bucket_usage.bytes + excluded.bytes
      """)
    static let usage = SQLStatement(
      """
      SELECT COALESCE(CAST(sum(u.objects) AS @int), 0), COALESCE(CAST(sum(u.bytes) AS @int), 0)
      FROM (SELECT bucket_id, objects, bytes FROM bucket_usage
        UNION ALL SELECT bucket_id, objects, bytes FROM usage_deltas) AS u
      JOIN buckets b ON b.id = u.bucket_id
      """)
    // An extent that is queued and to be spread is one extent to repair.
    static let counts = [
      "object_versions", "extents", "inline_data", "multipart_uploads", "tombstones",
      "repair_queue",
      "extents WHERE spread = 1 AND id NOT IN (SELECT extent FROM repair_queue)",
      "quarantine",
    ].map { SQLStatement("SELECT count(*) FROM \($0)") }
  }

  /// Folds at most `limit` usage deltas into totals; how many there were.
  public func foldUsage(limit: Int) async throws -> Int {
    try await mutate(cost: 128 * max(limit, 0) / 8) { session in
      let rows = try await session.query(SQL.fold, [.int(Int64(max(limit, 0)))])
      var totals: [Int64: Usage] = [:]
      for index in 0..<rows.count {
        let row = rows[index]
        let bucket = try row.int(0)
        var total = totals[bucket] ?? Usage(objects: 0, bytes: 0)
        total.objects &+= try row.int(1)
        total.bytes &+= try row.int(2)
        totals[bucket] = total
      }
      // In one order for all, so that two who fold do not wait for each other.
      for (bucket, total) in totals.sorted(by: { $0.key < $1.key }) {
        try await session.run(SQL.addUsage, [.int(total.objects), .int(total.bytes), .int(bucket)])
      }
      return rows.count
    }
  }

  /// Counts for the operator; each of its own moment.
  public func counts() async throws -> MetadataCounts {
    try await driver.read { session in
      var numbers: [Int64] = []
      for statement in SQL.counts {
        numbers.append(try await session.query(statement, []).first?.int(0) ?? 0)
      }
      let usage = try await session.query(SQL.usage, []).first
      return MetadataCounts(
        objects: try usage?.int(0) ?? 0, versions: numbers[0], extents: numbers[1],
        inlineObjects: numbers[2], uploads: numbers[3], tombstones: numbers[4],
        repairs: numbers[5], underSpread: numbers[6],
        quarantined: numbers[7], bytes: try usage?.int(1) ?? 0)
    }
  }

  /// The time of the database.
  public func now() async throws -> Timestamp {
    try await driver.read { session in try await session.now() }
  }

  /// Writes a consistent copy of the whole database to a new file at `path`, while running.
  public func backup(to path: String) async throws {
    try await driver.backup(to: path)
  }
}
