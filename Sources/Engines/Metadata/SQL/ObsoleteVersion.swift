import Base

/// Takes versions and extents out of the tables; what chunks they have become tombstones.
enum ObsoleteVersion {
  private static let deleteVersion = SQLStatement(
    "DELETE FROM object_versions WHERE id = $1 RETURNING extent_count")
  private static let deleteInline = SQLStatement("DELETE FROM inline_data WHERE version = $1")
  private static let deleteLinks = SQLStatement("DELETE FROM version_extents WHERE version = $1")

  private static let ofVersion = Bury {
    "SELECT extent FROM version_extents WHERE version = $\($0)"
  }
  private static let ofParts = Bury {
    """
    SELECT extent FROM multipart_parts
    WHERE upload = $\($0) AND number BETWEEN $\($0 + 1) AND $\($0 + 2)
    """
  }
  private static let single = Bury { "$\($0)" }

  /// The three statements that turn a set of extents into tombstones.
  private struct Bury {
    let entomb: SQLStatement
    let delete: SQLStatement
    let forgetRepair: SQLStatement

    /// `set` makes the SQL of the set, its values numbered from the number that it gets.
    init(_ set: (Int) -> String) {
      // Locked, so that no repair moves the extent between this statement and the next; in the order
      // in which everybody locks extents.
      entomb = SQLStatement(
        """
        INSERT INTO tombstones(extent, placement_id, unconfirmed, created_ms)
        SELECT id, placement_id,
          (CAST(1 AS @int) << CAST(data_count + parity_count AS INTEGER)) - 1, $1
        FROM extents WHERE id IN (\(set(2))) ORDER BY id @update
        """)
      delete = SQLStatement("DELETE FROM extents WHERE id IN (\(set(1)))")
      forgetRepair = SQLStatement("DELETE FROM repair_queue WHERE extent IN (\(set(1)))")
    }

    func run(_ set: [SQLValue], now: Int64, _ session: any SQLSession) async throws {
      try await session.execute(entomb, [.int(now)] + set)
      try await session.execute(delete, set)
      try await session.execute(forgetRepair, set)
    }
  }

  /// Removes a version's row and all that hangs on it; false when it is not there.
  @discardableResult
  static func remove(
    _ version: Int64, now: Int64, _ session: any SQLSession
  ) async throws -> Bool {
    let id: [SQLValue] = [.int(version)]
    guard let row = try await session.query(deleteVersion, id).first else { return false }
    if try row.int(0) == 0 {
      try await session.execute(deleteInline, id)
    } else {
      try await ofVersion.run(id, now: now, session)
      try await session.execute(deleteLinks, id)
    }
    return true
  }

  /// Removes all that hangs on a version whose row is gone already.
  static func removeContent(
    of version: Int64, now: Int64, _ session: any SQLSession
  ) async throws {
    let id: [SQLValue] = [.int(version)]
    try await session.execute(deleteInline, id)
    try await ofVersion.run(id, now: now, session)
    try await session.execute(deleteLinks, id)
  }

  /// Makes tombstones of the extents of the parts whose numbers lie in a range.
  static func entombParts(
    of upload: Int64, _ numbers: ClosedRange<Int>, now: Int64, _ session: any SQLSession
  ) async throws {
    try await ofParts.run(
      [.int(upload), .int(Int64(numbers.lowerBound)), .int(Int64(numbers.upperBound))], now: now,
      session)
  }

  /// Makes a tombstone of one extent.
  static func entomb(_ extent: [UInt8], now: Int64, _ session: any SQLSession) async throws {
    try await single.run([.bytes(extent)], now: now, session)
  }
}
