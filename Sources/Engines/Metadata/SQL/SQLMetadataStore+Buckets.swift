import Base

extension SQLMetadataStore {
  private enum SQL {
    static let columns = "id, tenant_id, name, owner_id, created_ms, purpose, versioning"
    static let insert = SQLStatement(
      """
      INSERT INTO buckets(tenant_id, name, owner_id, purpose, created_ms)
      VALUES($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id
      """)
    static let byName = SQLStatement(
      "SELECT \(columns) FROM buckets WHERE tenant_id = $1 AND name = $2")
    static let byID = SQLStatement("SELECT \(columns) FROM buckets WHERE id = $1")
    static let lock = SQLStatement("SELECT versioning FROM buckets WHERE id = $1 @update")
    static let anyVersion = SQLStatement(
      "SELECT 1 FROM object_versions WHERE bucket_id = $1 AND kind < 2 LIMIT 1")
    static let anyUpload = SQLStatement(
      "SELECT 1 FROM multipart_uploads WHERE bucket_id = $1 LIMIT 1")
    static let deletions = [
      SQLStatement("DELETE FROM buckets WHERE id = $1"),
      SQLStatement("DELETE FROM bucket_config WHERE bucket_id = $1"),
      SQLStatement("DELETE FROM bucket_usage WHERE bucket_id = $1"),
      SQLStatement("DELETE FROM object_versions WHERE bucket_id = $1"),
      SQLStatement("DELETE FROM objects WHERE bucket_id = $1"),
    ]
    static let list = SQLStatement(
      """
      SELECT \(columns) FROM buckets
      WHERE tenant_id = $1 AND name > $2 AND name >= $3
        AND ($4 < 0 OR owner_id = $4) AND ($5 < 0 OR purpose = $5)
      ORDER BY name LIMIT $6
      """)
    static let usage = SQLStatement(
      """
      SELECT COALESCE(CAST(sum(objects) AS @int), 0), COALESCE(CAST(sum(bytes) AS @int), 0) FROM (
        SELECT objects, bytes FROM bucket_usage WHERE bucket_id = $1
        UNION ALL
        SELECT objects, bytes FROM usage_deltas WHERE bucket_id = $1) AS parts
      """)
    static let setVersioning = SQLStatement("UPDATE buckets SET versioning = $1 WHERE id = $2")
  }

  static func bucket(_ row: SQLRow, at column: Int = 0) throws -> Bucket {
    guard let purpose = Bucket.Purpose(rawValue: try row.int(column + 5)),
      let versioning = Bucket.Versioning(rawValue: try row.int(column + 6))
    else { throw SQLRow.corrupt(column + 5) }
    return Bucket(
      id: BucketID(try row.int(column)), tenant: try row.int(column + 1),
      name: try row.text(column + 2), owner: UserID(try row.int(column + 3)),
      created: try row.time(column + 4), purpose: purpose, versioning: versioning)
  }

  /// Makes a bucket. Throws `bucketExists` when the tenant has one of that name.
  public func createBucket(
    name: String, tenant: Int64, owner: UserID, purpose: Bucket.Purpose
  ) async throws -> Bucket {
    try await mutate { session in
      let now = try await session.now()
      let inserted = try await session.query(
        SQL.insert,
        [
          .int(tenant), .text(name), .int(owner.number), .int(purpose.rawValue),
          .int(now.milliseconds),
        ])
      guard let row = inserted.first else {
        let there = try await session.query(SQL.byName, [.int(tenant), .text(name)]).first
        throw MetadataError.bucketExists(ownedByCaller: try there?.int(3) == owner.number)
      }
      return Bucket(
        id: BucketID(try row.int(0)), tenant: tenant, name: name, owner: owner, created: now,
        purpose: purpose, versioning: .off)
    }
  }

  /// The bucket of that name, nil when there is none.
  public func bucket(named name: String, tenant: Int64) async throws -> Bucket? {
    try await driver.read { session in
      try await session.query(SQL.byName, [.int(tenant), .text(name)]).first.map { row in
        try Self.bucket(row)
      }
    }
  }

  /// The bucket of that id, nil when there is none.
  public func bucket(_ id: BucketID) async throws -> Bucket? {
    try await driver.read { session in
      try await session.query(SQL.byID, [.int(id.number)]).first.map { row in
        try Self.bucket(row)
      }
    }
  }

  /// Deletes an empty bucket: one without versions, uploads and parts; else `bucketNotEmpty`.
  public func deleteBucket(_ id: BucketID) async throws {
    try await mutate { session in
      let bucket: [SQLValue] = [.int(id.number)]
      guard try await session.query(SQL.lock, bucket).count > 0 else {
        throw MetadataError.noSuchBucket
      }
      // Parts belong to uploads, so that uploads tell of them too.
      guard try await session.query(SQL.anyVersion, bucket).count == 0,
        try await session.query(SQL.anyUpload, bucket).count == 0
      else { throw MetadataError.bucketNotEmpty }
      for statement in SQL.deletions { try await session.run(statement, bucket) }
    }
  }

  /// Has a bucket keep versions, or keep no new ones. Throws `preconditionFailed` for `off`, which
  /// only a bucket that never kept versions is.
  public func setVersioning(_ id: BucketID, _ versioning: Bucket.Versioning) async throws {
    try await mutate { session in
      guard let row = try await session.query(SQL.lock, [.int(id.number)]).first else {
        throw MetadataError.noSuchBucket
      }
      let before = try row.int(0)
      guard before != versioning.rawValue else { return }
      guard versioning != .off else { throw MetadataError.preconditionFailed }
      try await session.run(SQL.setVersioning, [.int(versioning.rawValue), .int(id.number)])
    }
  }

  /// Buckets of a tenant by name, behind `after`, beginning with `prefix`, at most `limit`; only
  /// those of `owner` unless it is nil.
  public func listBuckets(
    tenant: Int64, owner: UserID?, purpose: Bucket.Purpose?, prefix: String, after: String,
    limit: Int
  ) async throws -> [Bucket] {
    try await driver.read { session in
      let rows = try await session.query(
        SQL.list,
        [
          .int(tenant), .text(after), .text(prefix), .int(owner?.number ?? -1),
          .int(purpose?.rawValue ?? -1), .int(Int64(max(limit, 0))),
        ])
      // Names that begin with the prefix come first of those that are not before it.
      return try rows.map { try Self.bucket($0) }
        .filter { $0.name.utf8.starts(with: prefix.utf8) }
    }
  }

  /// Objects and bytes of a bucket: the folded totals and what is not folded yet.
  public func usage(of bucket: BucketID) async throws -> Usage {
    try await driver.read { session in
      guard let row = try await session.query(SQL.usage, [.int(bucket.number)]).first else {
        return Usage(objects: 0, bytes: 0)
      }
      return Usage(objects: try row.int(0), bytes: try row.int(1))
    }
  }
}
