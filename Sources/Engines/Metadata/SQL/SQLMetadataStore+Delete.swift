import Base

extension SQLMetadataStore {
  private enum SQL {
    static let version = SQLStatement(
      """
      SELECT kind, etag, size FROM object_versions
      WHERE id = $1 AND bucket_id = $2 AND key = $3 AND kind < 2
      """)
    static let nonce = SQLStatement("SELECT nonce FROM object_versions WHERE id = $1 AND kind < 2")
    static let latest = SQLStatement(
      """
      SELECT id, kind, size, etag, modified_ms, owner_id, storage_class, checksum_kind
      FROM object_versions WHERE bucket_id = $1 AND key = $2 AND kind < 2
      ORDER BY sequence DESC LIMIT 1
      """)
    static let deleteHead = SQLStatement("DELETE FROM objects WHERE bucket_id = $1 AND key = $2")
    static let clearNull = SQLStatement(
      "UPDATE objects SET null_version = NULL WHERE bucket_id = $1 AND key = $2")
    static let moveHead = SQLStatement(
      """
      UPDATE objects SET version = $1, live = $2, size = $3, etag = $4, modified_ms = $5,
        owner_id = $6, storage_class = $7, checksum_kind = $8
      WHERE bucket_id = $9 AND key = $10
      """)
  }

  /// Deletes the current object of a key, or one version of it. Deleting nothing is no error.
  ///
  /// Without `versionID`, a bucket that keeps versions gets a delete marker. A condition applies to
  /// the current object, or to the version that is named.
  public func delete(
    bucket: BucketID, key: [UInt8], versionID: String?, condition: WriteCondition
  ) async throws -> DeletedVersion {
    let marker = nextMarker()
    return try await mutate(cost: 512 + key.count) { session in
      let versioning = try await Self.versioning(of: bucket, session)
      let head = try await Head.read(bucket, key, session)
      if let versionID {
        return try await Self.deleteVersion(
          versionID, Target(bucket: bucket, key: key, head: head), condition, session)
      }
      try Head.check(condition, head)
      let existed = head?.isLive ?? false
      if versioning == .off {
        guard let head else {
          session.memo.noteAbsent("objects", [.int(bucket.number), .bytes(key)])
          return DeletedVersion(existed: false)
        }
        _ = try await Self.remove(
          head.version, Target(bucket: bucket, key: key, head: head), session)
        return DeletedVersion(existed: existed)
      }
      let new = NewVersion(
        bucket: bucket, key: key, id: marker, kind: VersionKind.deleteMarker, owner: 0)
      let made = try await new.install(versioning: versioning, head: head, session)
      return DeletedVersion(existed: existed, versionID: made.versionID, isDeleteMarker: true)
    }
  }

  /// A key in a transaction that deletes something of it.
  private struct Target {
    var bucket: BucketID
    var key: [UInt8]
    var head: Head?
  }

  private static func deleteVersion(
    _ text: String, _ target: Target, _ condition: WriteCondition, _ session: any SQLSession
  ) async throws -> DeletedVersion {
    let absent = DeletedVersion(existed: false, versionID: text)
    guard let id = try await number(of: text, target, session),
      let row = try await session.query(
        SQL.version, [.int(id), .int(target.bucket.number), .bytes(target.key)]
      ).first
    else {
      try Head.check(condition, nil)
      session.memo.noteAbsent("objects", [.int(target.bucket.number), .bytes(target.key)])
      if let id = OpaqueID(text)?.number {
        session.memo.noteAbsent("object_versions", [.int(id.rawValue)])
      }
      return absent
    }
    let isMarker = try row.int(0) == VersionKind.deleteMarker
    try Head.check(
      condition,
      Head(
        version: id, nullVersion: nil, sequence: 0, isLive: !isMarker, size: try row.int(2),
        etag: try row.text(1), modified: 0))
    try await remove(id, target, session)
    return DeletedVersion(existed: true, versionID: text, isDeleteMarker: isMarker)
  }

  /// The row that a version id names, nil for none.
  private static func number(
    of text: String, _ target: Target, _ session: any SQLSession
  ) async throws -> Int64? {
    if text == "null" { return target.head?.nullVersion }
    guard let id = OpaqueID(text),
      let row = try await session.query(SQL.nonce, [.int(id.number.rawValue)]).first,
      try row.optionalInt(0) == Int64(bitPattern: id.nonce)
    else { return nil }
    return id.number.rawValue
  }

  /// Removes a version of a key, and has the head name the latest that remains.
  private static func remove(
    _ version: Int64, _ target: Target, _ session: any SQLSession
  ) async throws {
    let name: [SQLValue] = [.int(target.bucket.number), .bytes(target.key)]
    let now = try await session.now().milliseconds
    try await ObsoleteVersion.remove(version, now: now, session)
    guard let head = target.head else { return }
    if head.version != version {
      if head.nullVersion == version { try await session.execute(SQL.clearNull, name) }
      return
    }
    var remaining = Usage(objects: 0, bytes: 0)
    if let latest = try await session.query(SQL.latest, name).first {
      let isLive = try latest.int(1) == VersionKind.object
      if isLive { remaining = Usage(objects: 1, bytes: try latest.int(2)) }
      try await session.execute(
        SQL.moveHead,
        [
          .int(try latest.int(0)), .int(isLive ? 1 : 0), .int(try latest.int(2)),
          .text(try latest.text(3)), .int(try latest.int(4)), .int(try latest.int(5)),
          .text(try latest.text(6)), .int(try latest.int(7)),
        ] + name)
      if head.nullVersion == version { try await session.execute(SQL.clearNull, name) }
    } else {
      try await session.execute(SQL.deleteHead, name)
    }
    session.memo.addUsage(
      target.bucket, objects: remaining.objects - (head.isLive ? 1 : 0),
      bytes: remaining.bytes &- (head.isLive ? head.size : 0))
  }
}
