import Base

extension SQLMetadataStore {
  private enum SQL {
    static let run = SQLStatement(
      """
      SELECT key, live, modified_ms, etag, size, storage_class, owner_id, checksum_kind
      FROM objects WHERE bucket_id = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4
      """)
    static let sparseRun = SQLStatement(
      """
      SELECT key, live, modified_ms, etag, size, storage_class, owner_id, checksum_kind
      FROM objects @live
      WHERE bucket_id = $1 AND key >= $2 AND key < $3 AND live = 1 ORDER BY key LIMIT $4
      """)
    static let seek = SQLStatement(
      """
      SELECT key FROM objects @live
      WHERE bucket_id = $1 AND key >= $2 AND key < $3 AND live = 1 ORDER BY key LIMIT 1
      """)
  }

  /// Rows of one page at most, whatever is asked for.
  static let maximumPage = 10_000

  /// A page of current objects. Costs the same at any size of the bucket; a delimiter skips.
  public func list(_ request: ListRequest) async throws -> ListPage {
    let limit = min(request.limit, Self.maximumPage)
    guard limit > 0 else { return ListPage(rows: [], next: nil) }
    let bucket = SQLValue.int(request.bucket.number)
    return try await driver.read { session in
      try await session.snapshot()
      var scan = KeyScan(request, limit: limit)
      let end = SQLValue.bytes(scan.end)
      while let step = scan.nextStep() {
        switch step {
        case .run(let start, let count, let isSparse):
          let rows = try await session.query(
            isSparse ? SQL.sparseRun : SQL.run, [bucket, .bytes(start), end, .int(Int64(count))])
          try scan.takeRun(rows, asked: count)
        case .seek(let start):
          let rows = try await session.query(SQL.seek, [bucket, .bytes(start), end])
          scan.takeSeek(try rows.first?.bytes(0))
        }
      }
      return scan.page
    }
  }
}
