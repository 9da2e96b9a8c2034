public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let list = SQLStatement(
      """
      SELECT t.extent, p.stores, t.unconfirmed, t.created_ms
      FROM tombstones t JOIN placements p ON p.id = t.placement_id
      WHERE t.created_ms < $1 AND t.created_ms < COALESCE(
        (SELECT m.created_ms FROM change_marks m ORDER BY m.id LIMIT 1), $1)
      ORDER BY t.created_ms LIMIT $2
      """)
    static let deleteConfirmed = SQLStatement(
      "DELETE FROM tombstones WHERE extent = $1 AND (unconfirmed & ~$2) = 0")
    static let confirm = SQLStatement(
      "UPDATE tombstones SET unconfirmed = unconfirmed & ~$1 WHERE extent = $2")
    static let isOwned = SQLStatement("SELECT 1 FROM extents WHERE id = $1")
    static let insert = SQLStatement(
      """
      INSERT INTO tombstones(extent, placement_id, unconfirmed, created_ms)
      VALUES($1, $2, $3, $4) ON CONFLICT DO NOTHING
      """)
  }

  /// Tombstones made before `before`, oldest first; none whose making may not be in the change log
  /// yet: a database made again from the log must not name chunks that are gone.
  public func tombstones(before: Timestamp, limit: Int) async throws -> [Tombstone] {
    try await driver.read { session in
      try await session.query(
        SQL.list, [.int(before.milliseconds), .int(Int64(max(limit, 0)))]
      ).map { row in
        guard let unconfirmed = UInt32(exactly: try row.int(2)) else { throw SQLRow.corrupt(2) }
        return Tombstone(
          extent: try row.id(0), stores: try PlacementCodec.decode(try row.bytes(1)),
          unconfirmed: unconfirmed, created: try row.time(3))
      }
    }
  }

  /// Records that the stores of some chunks have deleted them; a tombstone goes when all have.
  public func confirm(_ confirmations: [(extent: ExtentID, chunks: UInt32)]) async throws {
    guard !confirmations.isEmpty else { return }
    try await mutate(cost: 64 * confirmations.count) { session in
      for (extent, chunks) in confirmations {
        let id = SQLValue.bytes(extent.bytes)
        let bits = SQLValue.int(Int64(chunks))
        // Nearly always this is all; the others find nothing then.
        try await session.execute(SQL.deleteConfirmed, [id, bits])
        try await session.execute(SQL.confirm, [bits, id])
        // Others may have confirmed the rest meanwhile.
        try await session.execute(SQL.deleteConfirmed, [id, .int(0)])
      }
    }
  }

  /// Those of the driver; what is committed and not in the change log yet is known.
  public var unresolvedCount: Int { driver.unresolvedCount }

  /// Makes tombstones of extents that this writer made and that nothing names; what something does
  /// name is left alone.
  public func discard(_ extents: [(id: ExtentID, stores: [StoreID])]) async throws {
    guard !extents.isEmpty else { return }
    let cache = placements
    let learned = try await mutate(cost: 256 * extents.count) { session in
      var learned: [[UInt8]: Int64] = [:]
      let now = try await session.now().milliseconds
      for extent in extents where !extent.stores.isEmpty && extent.stores.count <= 32 {
        let id = SQLValue.bytes(extent.id.bytes)
        guard try await session.query(SQL.isOwned, [id]).count == 0 else { continue }
        let stores = PlacementCodec.encode(extent.stores)
        let placement = try await ExtentRows.placement(stores, cache: cache, session)
        learned[stores] = placement
        let bits = (Int64(1) << Int64(extent.stores.count)) - 1
        try await session.run(SQL.insert, [id, .int(placement), .int(bits), .int(now)])
      }
      return learned
    }
    cache.add(learned)
  }
}
