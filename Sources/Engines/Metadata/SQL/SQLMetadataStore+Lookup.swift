import Base

extension SQLMetadataStore {
  private enum SQL {
    /// What `version(_:at:)` reads.
    static let columns = """
      v.id, v.nonce, v.kind, v.bucket_id, v.key, v.sequence, v.size, v.etag, v.modified_ms,
      v.attributes, v.tags, v.checksum_kind, v.checksum, v.storage_class, v.owner_id, v.part_count,
      v.extent_count
      """
    static let bucket = """
      b.id, b.tenant_id, b.name, b.owner_id, b.created_ms, b.purpose, b.versioning
      """
    static let inline = "i.extent, i.wrapped_key, i.transform, i.data"

    static let current = variants(
      """
      LEFT JOIN objects o ON o.bucket_id = b.id AND o.key = $1
      LEFT JOIN object_versions v ON v.id = o.version AND v.kind < 2
      """)
    static let null = variants(
      """
      LEFT JOIN objects o ON o.bucket_id = b.id AND o.key = $1
      LEFT JOIN object_versions v ON v.id = o.null_version AND v.kind < 2
      """)
    static let numbered = variants(
      """
      LEFT JOIN object_versions v
        ON v.bucket_id = b.id AND v.key = $1 AND v.id = $2 AND v.nonce = $3 AND v.kind < 2
      """, parameters: 3)

    /// The statement without and with inline content.
    static func variants(_ joins: String, parameters: Int = 1) -> [SQLStatement] {
      let name = "WHERE b.tenant_id = $\(parameters + 1) AND b.name = $\(parameters + 2)"
      return [
        SQLStatement("SELECT \(bucket), \(columns) FROM buckets b \(joins) \(name)"),
        SQLStatement(
          """
          SELECT \(bucket), \(columns), \(inline) FROM buckets b \(joins)
          LEFT JOIN inline_data i ON i.version = v.id \(name)
          """),
      ]
    }

    static let bucketOnly = SQLStatement(
      "SELECT \(bucket) FROM buckets b WHERE tenant_id = $1 AND name = $2")
    static let link =
      "l.ordinal, l.start, l.length, l.part_number, l.checksum_kind, l.checksum, "
      + ExtentRows.columns
    static let joins = """
      FROM version_extents l JOIN extents e ON e.id = l.extent
      JOIN placements p ON p.id = e.placement_id
      """
    // The extent that holds the first byte is the last that begins at or before it.
    static let extents = SQLStatement(
      """
      SELECT \(link) \(joins)
      WHERE l.version = $1 AND l.start >= COALESCE((
          SELECT f.start FROM version_extents f WHERE f.version = $1 AND f.start <= $2
          ORDER BY f.start DESC LIMIT 1), 0)
        AND l.start < $3
      ORDER BY l.start, l.ordinal
      """)
    static let part = SQLStatement(
      """
      SELECT \(link) \(joins)
      WHERE l.version = $1 AND l.part_number = $2 AND l.part_number > 0
      """)
    static let completed = SQLStatement(
      """
      SELECT \(columns) FROM object_versions v
      WHERE v.upload_id = $1 AND v.bucket_id = $2 AND v.key = $3 AND v.kind = 0
      """)
  }

  static func version(
    _ row: SQLRow, at first: Int = 0, withInline: Bool = false
  ) throws -> ObjectVersion? {
    guard let number = try row.optionalInt(first) else { return nil }
    var inline: InlineData?
    if withInline, try row.optionalBytes(first + 17) != nil {
      guard let transform = UInt8(exactly: try row.int(first + 19)) else {
        throw SQLRow.corrupt(first + 19)
      }
      inline = InlineData(
        extent: try row.id(first + 17), wrappedKey: try row.bytes(first + 18), transform: transform,
        sealed: try row.bytes(first + 20))
    }
    return ObjectVersion(
      number: VersionNumber(rawValue: number),
      nonce: try row.optionalInt(first + 1).map { UInt64(bitPattern: $0) },
      isDeleteMarker: try row.int(first + 2) == VersionKind.deleteMarker,
      bucket: BucketID(try row.int(first + 3)), key: try row.bytes(first + 4),
      sequence: try row.int(first + 5), size: try row.int(first + 6),
      etag: try row.text(first + 7), lastModified: try row.time(first + 8),
      attributes: try AttributeCodec.decode(
        attributes: try row.optionalBytes(first + 9), tags: try row.optionalBytes(first + 10)),
      checksum: try ChecksumKind.checksum(
        kind: try row.int(first + 11), value: try row.optionalBytes(first + 12)),
      storageClass: try row.text(first + 13), owner: UserID(try row.int(first + 14)),
      partCount: try row.small(first + 15), extentCount: try row.small(first + 16),
      inline: inline)
  }

  private static func link(_ row: SQLRow) throws -> ExtentLink {
    ExtentLink(
      ordinal: try row.small(0), offset: try row.int(1), length: try row.int(2),
      partNumber: try row.small(3),
      checksum: try ChecksumKind.checksum(kind: try row.int(4), value: try row.optionalBytes(5)),
      extent: try ExtentRows.extent(row, at: 6))
  }

  /// The bucket and one version of a key, by one statement; inline content comes along when
  /// `withContent`. `versionID` nil asks for the current version, `"null"` for the null version;
  /// a text that names no version of that key gives none.
  public func lookUp(
    bucket: String, tenant: Int64, key: [UInt8], versionID: String?, withContent: Bool
  ) async throws -> ObjectLookup {
    try await driver.read { session in
      try await Self.lookUp(
        session, bucket: bucket, tenant: tenant, key: key, versionID: versionID,
        withContent: withContent)
    }
  }

  /// The same inside a read.
  package static func lookUp(
    _ session: any SQLSession, bucket: String, tenant: Int64, key: [UInt8], versionID: String?,
    withContent: Bool
  ) async throws -> ObjectLookup {
    let (statements, version) = lookUpStatements(key: key, versionID: versionID)
    let values = version + [.int(tenant), .text(bucket)]
    guard let row = try await session.query(statements[withContent ? 1 : 0], values).first else {
      return ObjectLookup(bucket: nil, version: nil)
    }
    return ObjectLookup(
      bucket: try Self.bucket(row),
      version: version.isEmpty
        ? nil : try Self.version(row, at: 7, withInline: withContent))
  }

  /// The statements that find a version, without and with content, and the values that name it.
  private static func lookUpStatements(
    key: [UInt8], versionID: String?
  ) -> ([SQLStatement], [SQLValue]) {
    guard let versionID else { return (SQL.current, [.bytes(key)]) }
    if versionID == "null" { return (SQL.null, [.bytes(key)]) }
    guard let id = OpaqueID(versionID) else { return ([SQL.bucketOnly, SQL.bucketOnly], []) }
    return (
      SQL.numbered,
      [.bytes(key), .int(id.number.rawValue), .int(Int64(bitPattern: id.nonce))]
    )
  }

  /// The extents of a version that hold any byte of `range` of the object, in order.
  public func extents(
    of version: VersionNumber, in range: Range<Int64>
  ) async throws -> [ExtentLink] {
    guard !range.isEmpty else { return [] }
    return try await driver.read { session in
      try await session.query(
        SQL.extents,
        [.int(version.rawValue), .int(range.lowerBound), .int(range.upperBound)]
      ).map(Self.link)
        // Empty parts share their start with the part behind them.
        .filter { $0.length > 0 && $0.offset &+ $0.length > range.lowerBound }
    }
  }

  /// The extent that holds one part of a multipart object, nil when it has no such part.
  public func extent(of version: VersionNumber, part: Int) async throws -> ExtentLink? {
    try await driver.read { session in
      try await session.query(SQL.part, [.int(version.rawValue), .int(Int64(part))]).first
        .map(Self.link)
    }
  }

  /// The object that `complete` made of this upload earlier, so that a repeated Complete of an
  /// upload answers as the first did; nil when there is none.
  public func completedVersion(
    of upload: OpaqueID, bucket: BucketID, key: [UInt8]
  ) async throws -> ObjectVersion? {
    try await driver.read { session in
      try await session.query(
        SQL.completed, [.int(upload.number.rawValue), .int(bucket.number), .bytes(key)]
      ).first.flatMap { try Self.version($0) }
    }
  }
}
