public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let columns = """
      id, nonce, bucket_id, key, initiated_ms, owner_id, attributes, tags, storage_class,
      checksum_kind
      """
    static let insert = SQLStatement(
      """
      INSERT INTO multipart_uploads(\(columns)) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      """)
    static let select = SQLStatement(selectText)
    static let selectLocked = SQLStatement(selectText + " @update")
    static let selectText = """
      SELECT \(columns) FROM multipart_uploads
      WHERE id = $1 AND nonce = $2 AND bucket_id = $3 AND key = $4
      """
    static let lock = SQLStatement(
      "SELECT bucket_id FROM multipart_uploads WHERE id = $1 AND nonce = $2 @update")
    static let partExtent = SQLStatement(
      "SELECT extent FROM multipart_parts WHERE upload = $1 AND number = $2")
    static let putPart = SQLStatement(
      """
      INSERT INTO multipart_parts(
        upload, number, size, etag, modified_ms, checksum_kind, checksum, extent)
      VALUES($1, $2, $3, $4, $5, $6, $7, $8)
      ON CONFLICT(upload, number) DO UPDATE SET size = excluded.size, etag = excluded.etag,
        modified_ms = excluded.modified_ms, checksum_kind = excluded.checksum_kind,
        checksum = excluded.checksum, extent = excluded.extent
      """)
    static let parts = SQLStatement(
      """
      SELECT p.number, p.size, p.etag, p.modified_ms, p.checksum_kind, p.checksum, p.extent
      FROM multipart_parts p
      WHERE p.upload = $1 AND p.number > $2
        AND EXISTS (SELECT 1 FROM multipart_uploads u WHERE u.id = $1 AND u.nonce = $3)
      ORDER BY p.number LIMIT $4
      """)
    static let deleteParts = SQLStatement("DELETE FROM multipart_parts WHERE upload = $1")
    static let deleteUpload = SQLStatement("DELETE FROM multipart_uploads WHERE id = $1")
    static let page = SQLStatement(
      """
      SELECT \(columns) FROM multipart_uploads
      WHERE bucket_id = $1 AND key >= $2 AND key < $3 AND (key > $2 OR id > $4)
      ORDER BY key, id LIMIT $5
      """)
    static let stale = SQLStatement(
      """
      SELECT \(columns) FROM multipart_uploads WHERE initiated_ms < $1
      ORDER BY initiated_ms LIMIT $2
      """)
  }

  /// The numbers that a part can have.
  static let partNumbers = 1...10_000

  static func upload(_ row: SQLRow) throws -> MultipartUpload {
    let checksum = try ChecksumKind.unpack(try row.int(9))
    return MultipartUpload(
      id: OpaqueID(
        number: VersionNumber(rawValue: try row.int(0)),
        nonce: UInt64(bitPattern: try row.int(1))),
      bucket: BucketID(try row.int(2)), key: try row.bytes(3), initiated: try row.time(4),
      owner: UserID(try row.int(5)),
      attributes: try AttributeCodec.decode(
        attributes: try row.optionalBytes(6), tags: try row.optionalBytes(7)),
      storageClass: try row.text(8), checksumAlgorithm: checksum.algorithm,
      checksumIsComposite: checksum.isComposite)
  }

  /// The row of an upload inside a transaction that ends it: locked, so that no part changes until
  /// then. Throws `noSuchUpload`.
  static func openUpload(
    _ id: OpaqueID, bucket: BucketID, key: [UInt8], _ session: any SQLSession
  ) async throws -> SQLRow {
    let row = try await session.query(SQL.selectLocked, name(id, bucket, key)).first
    guard let row else { throw MetadataError.noSuchUpload }
    return row
  }

  private static func name(_ id: OpaqueID, _ bucket: BucketID, _ key: [UInt8]) -> [SQLValue] {
    [
      .int(id.number.rawValue), .int(Int64(bitPattern: id.nonce)), .int(bucket.number),
      .bytes(key),
    ]
  }

  /// Removes an upload and what is left of its parts' rows.
  static func removeUpload(_ id: OpaqueID, _ session: any SQLSession) async throws {
    try await session.execute(SQL.deleteParts, [.int(id.number.rawValue)])
    try await session.execute(SQL.deleteUpload, [.int(id.number.rawValue)])
  }

  /// Begins an upload; its `initiated` is set by the database and returned with it.
  public func createUpload(_ upload: MultipartUpload) async throws -> MultipartUpload {
    let attributes = try AttributeCodec.encode(upload.attributes)
    let tags = try AttributeCodec.encodeTags(upload.attributes.tags)
    return try await mutate(cost: 1024 + upload.key.count) { session in
      _ = try await Self.versioning(of: upload.bucket, session)
      var begun = upload
      begun.initiated = try await session.now()
      try await session.execute(
        SQL.insert,
        [
          .int(upload.id.number.rawValue), .int(Int64(bitPattern: upload.id.nonce)),
          .int(upload.bucket.number), .bytes(upload.key), .int(begun.initiated.milliseconds),
          .int(upload.owner.number), attributes, tags, .text(upload.storageClass),
          ChecksumKind.pack(
            algorithm: upload.checksumAlgorithm, isComposite: upload.checksumIsComposite),
        ])
      return begun
    }
  }

  /// The upload of that id in that bucket and key, nil when there is none.
  public func upload(
    _ id: OpaqueID, bucket: BucketID, key: [UInt8]
  ) async throws -> MultipartUpload? {
    try await driver.read { session in
      try await session.query(SQL.select, Self.name(id, bucket, key)).first.map(Self.upload)
    }
  }

  /// Records a part and its extent; a part of that number before it becomes a tombstone. Throws
  /// `invalidPart` for a number that no part can have.
  public func commitPart(
    _ part: UploadedPart, extent: Extent, upload: OpaqueID
  ) async throws -> UploadedPart {
    guard Self.partNumbers.contains(part.number), part.extent == extent.id else {
      throw MetadataError.invalidPart(part.number)
    }
    let cache = placements
    let id = SQLValue.int(upload.number.rawValue)
    let (result, learned) = try await mutate(cost: 1024, made: [extent.id.epoch]) { session in
      guard
        try await session.query(
          SQL.lock, [id, .int(Int64(bitPattern: upload.nonce))]
        ).count > 0
      else { throw MetadataError.noSuchUpload }
      let number = SQLValue.int(Int64(part.number))
      let old = try await session.query(SQL.partExtent, [id, number]).first?.bytes(0)
      var recorded = part
      recorded.lastModified = try await session.now()
      let now = recorded.lastModified
      let learned = try await ExtentRows.insert(extent, cache: cache, now: now, session)
      try await session.execute(
        SQL.putPart,
        [
          id, number, .int(part.size), .text(part.etag), .int(now.milliseconds),
          ChecksumKind.pack(part.checksum), .optional(part.checksum?.value),
          .bytes(extent.id.bytes),
        ])
      if let old { try await ObsoleteVersion.entomb(old, now: now.milliseconds, session) }
      return (recorded, learned)
    }
    cache.add(learned)
    return result
  }

  /// Parts by number behind `after`, at most `limit`.
  public func parts(
    of upload: OpaqueID, after: Int, limit: Int
  ) async throws -> [UploadedPart] {
    try await driver.read { session in
      try await session.query(
        SQL.parts,
        [
          .int(upload.number.rawValue), .int(Int64(after)), .int(Int64(bitPattern: upload.nonce)),
          .int(Int64(max(limit, 0))),
        ]
      ).map { row in
        UploadedPart(
          number: try row.small(0), size: try row.int(1), etag: try row.text(2),
          lastModified: try row.time(3),
          checksum: try ChecksumKind.checksum(
            kind: try row.int(4), value: try row.optionalBytes(5)),
          extent: try row.id(6))
      }
    }
  }

  /// Ends an upload and makes its parts tombstones. Throws `noSuchUpload`.
  public func abort(_ upload: OpaqueID, bucket: BucketID, key: [UInt8]) async throws {
    try await mutate { session in
      _ = try await Self.openUpload(upload, bucket: bucket, key: key, session)
      try await ObsoleteVersion.entombParts(
        of: upload.number.rawValue, Self.partNumbers, now: try await session.now().milliseconds,
        session)
      try await Self.removeUpload(upload, session)
    }
  }

  /// Uploads that were begun before `before`.
  public func staleUploads(before: Timestamp, limit: Int) async throws -> [MultipartUpload] {
    try await driver.read { session in
      try await session.query(
        SQL.stale, [.int(before.milliseconds), .int(Int64(max(limit, 0)))]
      ).map(Self.upload)
    }
  }

  /// A page of uploads.
  public func listUploads(_ request: UploadListRequest) async throws -> UploadPage {
    try await driver.read { session in
      try await session.snapshot()
      var scan = UploadScan(request, limit: min(request.limit, Self.maximumPage))
      while let step = scan.nextStep() {
        let rows = try await session.query(
          SQL.page,
          [
            .int(request.bucket.number), .bytes(step.start), .bytes(scan.end),
            .int(step.afterID), .int(Int64(step.count)),
          ])
        try scan.take(rows, asked: step.count)
      }
      return scan.page
    }
  }
}
