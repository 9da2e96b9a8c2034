import Base

/// The head row of a key: which version is current.
struct Head {
  var version: Int64
  var nullVersion: Int64?
  var sequence: Int64
  var isLive: Bool
  var size: Int64
  var etag: String
  var modified: Int64

  private static let select = SQLStatement(
    """
    SELECT version, null_version, sequence, live, size, etag, modified_ms FROM objects
    WHERE bucket_id = $1 AND key = $2 @update
    """)

  /// Reads the head of a key inside a transaction that will change it.
  static func read(
    _ bucket: BucketID, _ key: [UInt8], _ session: any SQLSession
  ) async throws -> Head? {
    guard let row = try await session.query(select, [.int(bucket.number), .bytes(key)]).first
    else { return nil }
    return Head(
      version: try row.int(0), nullVersion: try row.optionalInt(1), sequence: try row.int(2),
      isLive: try row.int(3) == 1, size: try row.int(4), etag: try row.text(5),
      modified: try row.int(6))
  }

  /// Throws unless a condition holds for the current object.
  static func check(_ condition: WriteCondition, _ head: Head?) throws(MetadataError) {
    let live = head.flatMap { $0.isLive ? $0 : nil }
    switch condition {
    case .none: break
    case .absent: if live != nil { throw .preconditionFailed }
    case .exists: if live == nil { throw .noSuchKey }
    case .matches(let etag):
      guard let live else { throw .noSuchKey }
      guard live.etag == etag else { throw .preconditionFailed }
    case .version(let number):
      guard head?.version == number.rawValue else { throw .preconditionFailed }
    }
  }
}

/// What a row of `object_versions` is.
enum VersionKind {
  static let object: Int64 = 0
  static let deleteMarker: Int64 = 1
  static let barred: Int64 = 2
}

/// A version about to become current.
struct NewVersion {
  var bucket: BucketID
  var key: [UInt8]
  var id: OpaqueID
  var kind = VersionKind.object
  var size: Int64 = 0
  var etag = ""
  var owner: Int64
  var storageClass = ""
  var checksum: StoredChecksum?
  var attributes: SQLValue = .null
  var tags: SQLValue = .null
  var partCount = 0
  var extentCount = 0
  var upload: Int64?

  private static let insert = SQLStatement(
    """
    INSERT INTO object_versions(
      id, bucket_id, key, sequence, nonce, kind, size, etag, modified_ms, owner_id, storage_class,
      checksum_kind, checksum, attributes, tags, part_count, extent_count, upload_id)
    VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
    """)
  private static let insertHead = SQLStatement(
    """
    INSERT INTO objects(
      bucket_id, key, version, null_version, sequence, live, size, etag, modified_ms, owner_id,
      storage_class, checksum_kind)
    VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    """)
  // Two statements, so that the index of live keys is left alone when nothing changes in it.
  private static let updateHead = SQLStatement(updateText(""))
  private static let reviveHead = SQLStatement(updateText("live = 1 - live, "))

  private static func updateText(_ live: String) -> String {
    """
    UPDATE objects SET \(live)version = $1, null_version = $2, sequence = $3, size = $4, etag = $5,
      modified_ms = $6, owner_id = $7, storage_class = $8, checksum_kind = $9
    WHERE bucket_id = $10 AND key = $11
    """
  }

  /// Makes it current: inserts its row, changes the head, removes the version that it replaces.
  func install(
    versioning: Bucket.Versioning, head: Head?, _ session: any SQLSession
  ) async throws -> CommittedVersion {
    let now = try await session.now().milliseconds
    let modified = head.map { max(now, $0.modified &+ 1) } ?? now
    let sequence = (head?.sequence ?? 0) &+ 1
    let isNull = versioning != .enabled
    try await insertRow(sequence: sequence, modified: modified, isNull: isNull, session)
    let nullVersion = isNull ? id.number.rawValue : head?.nullVersion
    try await writeHead(
      head, nullVersion: nullVersion, sequence: sequence, modified: modified, session)
    if isNull, let replaced = head?.nullVersion {
      try await ObsoleteVersion.remove(replaced, now: now, session)
    }
    let wasLive = head?.isLive ?? false
    session.memo.addUsage(
      bucket, objects: (isLive ? 1 : 0) - (wasLive ? 1 : 0),
      bytes: (isLive ? size : 0) &- (wasLive ? head?.size ?? 0 : 0))
    return CommittedVersion(
      number: id.number,
      versionID: versioning == .off ? nil : isNull ? "null" : id.text,
      lastModified: Timestamp(milliseconds: modified))
  }

  private var isLive: Bool { kind == VersionKind.object }

  private func insertRow(
    sequence: Int64, modified: Int64, isNull: Bool, _ session: any SQLSession
  ) async throws {
    try await session.execute(
      Self.insert,
      [
        .int(id.number.rawValue), .int(bucket.number), .bytes(key), .int(sequence),
        isNull ? .null : .int(Int64(bitPattern: id.nonce)), .int(kind), .int(size), .text(etag),
        .int(modified), .int(owner), .text(storageClass), ChecksumKind.pack(checksum),
        .optional(checksum?.value), attributes, tags, .int(Int64(partCount)),
        .int(Int64(extentCount)), .optional(upload),
      ])
  }

  private func writeHead(
    _ head: Head?, nullVersion: Int64?, sequence: Int64, modified: Int64,
    _ session: any SQLSession
  ) async throws {
    let version = SQLValue.int(id.number.rawValue)
    let tail: [SQLValue] = [
      .int(size), .text(etag), .int(modified), .int(owner), .text(storageClass),
      ChecksumKind.pack(checksum),
    ]
    guard let head else {
      try await session.execute(
        Self.insertHead,
        [
          .int(bucket.number), .bytes(key), version, .optional(nullVersion), .int(sequence),
          .int(isLive ? 1 : 0),
        ] + tail)
      return
    }
    try await session.execute(
      head.isLive == isLive ? Self.updateHead : Self.reviveHead,
      [version, .optional(nullVersion), .int(sequence)] + tail
        + [.int(bucket.number), .bytes(key)])
  }
}
