import Base

extension SQLMetadataStore {
  private enum SQL {
    static let bucket = SQLStatement("SELECT versioning FROM buckets WHERE id = $1 @share")
    static let insertInline = SQLStatement(
      """
      INSERT INTO inline_data(version, extent, wrapped_key, transform, data)
      VALUES($1, $2, $3, $4, $5)
      """)
    static let replaced = SQLStatement(
      """
      SELECT size, etag, owner_id, part_count, extent_count, upload_id FROM object_versions
      WHERE id = $1 AND kind = 0
      """)
    // Copied and deleted, since a row's key is its name in the change log.
    static let moves = [
      """
      INSERT INTO inline_data(version, extent, wrapped_key, transform, data)
      SELECT $1, extent, wrapped_key, transform, data FROM inline_data WHERE version = $2
      """,
      """
      INSERT INTO version_extents(version, start, ordinal, length, part_number, extent,
        checksum_kind, checksum)
      SELECT $1, start, ordinal, length, part_number, extent, checksum_kind, checksum
      FROM version_extents WHERE version = $2
      """,
    ].map { SQLStatement($0) }
    static let moved = [
      "DELETE FROM inline_data WHERE version = $1",
      "DELETE FROM version_extents WHERE version = $1",
    ].map { SQLStatement($0) }
  }

  /// Whether a bucket keeps versions, read under a lock that keeps the bucket. Throws
  /// `noSuchBucket`.
  static func versioning(
    of bucket: BucketID, _ session: any SQLSession
  ) async throws -> Bucket.Versioning {
    guard let row = try await session.query(SQL.bucket, [.int(bucket.number)]).first else {
      throw MetadataError.noSuchBucket
    }
    guard let versioning = Bucket.Versioning(rawValue: try row.int(0)) else {
      throw SQLRow.corrupt(0)
    }
    return versioning
  }

  /// Makes a version current: checks the writer, the bucket and the condition, inserts the rows,
  /// replaces the version before it (its extents become tombstones) and queues missing chunks for
  /// repair; all in one transaction.
  public func commit(_ commit: ObjectCommit) async throws -> CommittedVersion {
    var cost = 1024 + commit.key.count
    let extents: [Extent]
    switch commit.content {
    case .inline(let data):
      extents = []
      cost += data.sealed.count
    case .extents(let list):
      extents = list
      cost += 512 * list.count
    }
    let new = NewVersion(
      bucket: commit.bucket, key: commit.key, id: commit.version, size: commit.size,
      etag: commit.etag, owner: commit.owner.number, storageClass: commit.storageClass,
      checksum: commit.checksum, attributes: try AttributeCodec.encode(commit.attributes),
      tags: try AttributeCodec.encodeTags(commit.attributes.tags), extentCount: extents.count)
    let cache = placements
    let made = Set(extents.map(\.id.epoch)).union([commit.version.number.epoch])
    let (result, learned) = try await mutate(cost: cost, made: made) { session in
      let versioning = try await Self.versioning(of: commit.bucket, session)
      let head = try await Head.read(commit.bucket, commit.key, session)
      try Head.check(commit.condition, head)
      let now = try await session.now()
      var learned: [[UInt8]: Int64] = [:]
      for extent in extents {
        let placement = try await ExtentRows.insert(extent, cache: cache, now: now, session)
        learned.merge(placement) { _, new in new }
      }
      let result = try await new.install(versioning: versioning, head: head, session)
      let id = result.number.rawValue
      switch commit.content {
      case .inline(let data):
        try await session.execute(
          SQL.insertInline,
          [
            .int(id), .bytes(data.extent.bytes), .bytes(data.wrappedKey),
            .int(Int64(data.transform)), .bytes(data.sealed),
          ])
      case .extents: try await ExtentRows.linkAll(extents, to: id, session)
      }
      return (result, learned)
    }
    cache.add(learned)
    return result
  }

  /// Replaces headers, metadata, storage class and checksum of the current version, whose extents
  /// move to a new version row (`version`): S3's copy of an object to itself. Throws
  /// `preconditionFailed` unless the current version is `expected`, and `unavailable` where that
  /// version is to be kept: its extents have one owner.
  public func replaceAttributes(
    bucket: BucketID, key: [UInt8], expected: VersionNumber, version: OpaqueID,
    attributes: ObjectAttributes, storageClass: String, checksum: StoredChecksum?
  ) async throws -> CommittedVersion {
    let encoded = try AttributeCodec.encode(attributes)
    let tags = try AttributeCodec.encodeTags(attributes.tags)
    return try await mutate { session in
      let versioning = try await Self.versioning(of: bucket, session)
      let head = try await Head.read(bucket, key, session)
      try Head.check(.version(expected), head)
      guard let old = try await session.query(SQL.replaced, [.int(expected.rawValue)]).first else {
        throw MetadataError.preconditionFailed
      }
      guard versioning != .enabled, head?.nullVersion == expected.rawValue else {
        throw MetadataError.unavailable("a version that is kept keeps its extents")
      }
      // Moved before the old row goes, so that nothing of them becomes a tombstone.
      let move: [SQLValue] = [.int(version.number.rawValue), .int(expected.rawValue)]
      for statement in SQL.moves { try await session.execute(statement, move) }
      for statement in SQL.moved {
        try await session.execute(statement, [.int(expected.rawValue)])
      }
      let new = NewVersion(
        bucket: bucket, key: key, id: version, size: try old.int(0), etag: try old.text(1),
        owner: try old.int(2), storageClass: storageClass, checksum: checksum,
        attributes: encoded, tags: tags, partCount: try old.small(3),
        extentCount: try old.small(4), upload: try old.optionalInt(5))
      return try await new.install(versioning: versioning, head: head, session)
    }
  }
}
