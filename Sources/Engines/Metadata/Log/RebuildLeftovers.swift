import Base

/// What a rebuild finds that was taken away meanwhile, without the transaction that did so.
///
/// A writer that died behind its commit told nobody and logged nothing, but others built on what it
/// left: a key that it deleted was written again, one that it overwrote was overwritten again. Their
/// later transactions count. And while a snapshot walks along the versions, a key may be deleted
/// behind it and written again before it.
enum RebuildLeftovers {
  private static let makeRoom = SQLStatement(
    """
    DELETE FROM object_versions WHERE bucket_id = $1 AND key = $2 AND sequence = $3 AND id <> $4
    RETURNING id
    """)
  // Below zero, where no transaction's number is.
  private static let remember = SQLStatement(
    "INSERT INTO rebuild_log(number, body) VALUES($1, $2) ON CONFLICT DO NOTHING")
  private static let remembered = SQLStatement(
    """
    SELECT number FROM rebuild_log
    WHERE number < 0 AND NOT EXISTS (SELECT 1 FROM object_versions v WHERE v.id = -number)
    """)
  // A key has a head as long as it has any version, and the head names the only one without an id.
  private static let unreachable = SQLStatement(
    """
    SELECT v.id FROM object_versions v
      LEFT JOIN objects o ON o.bucket_id = v.bucket_id AND o.key = v.key
    WHERE v.kind < 2 AND (o.version IS NULL
      OR (v.nonce IS NULL AND (o.null_version IS NULL OR o.null_version <> v.id)))
    """)
  // No extent comes back from its tombstone.
  private static let entombed = SQLStatement(
    "DELETE FROM extents WHERE id IN (SELECT extent FROM tombstones)")
  private static let emptyParts = SQLStatement(
    """
    DELETE FROM multipart_parts
    WHERE NOT EXISTS (SELECT 1 FROM extents e WHERE e.id = multipart_parts.extent)
    """)

  /// Puts a version where none other stands then; what hangs on one that did goes in the end, when
  /// all of that is there.
  static func replace(
    _ statement: SQLStatement, _ version: [SQLValue], _ session: any SQLSession
  ) async throws {
    guard version.count > 3 else { throw MetadataError.unavailable("a version without a place") }
    var gone: [Int64] = []
    try await session.check(
      makeRoom, [version[1], version[2], version[3], version[0]]
    ) { rows in
      gone = try rows.map { try $0.int(0) }
    }
    // Its answer comes behind the other.
    try await session.run(statement, version)
    for id in gone { try await session.run(remember, [.int(-id), .bytes([])]) }
  }

  /// Takes away what no head leads to, and what is left of versions and parts that are gone; the
  /// extents become tombstones.
  static func remove(_ session: any SQLSession) async throws {
    let now = try await session.now().milliseconds
    try await session.run(entombed, [])
    for id in try await session.query(unreachable, []).map({ try $0.int(0) }) {
      try await ObsoleteVersion.remove(id, now: now, session)
    }
    for number in try await session.query(remembered, []).map({ try $0.int(0) }) {
      try await ObsoleteVersion.removeContent(of: -number, now: now, session)
    }
    try await session.run(emptyParts, [])
  }
}
