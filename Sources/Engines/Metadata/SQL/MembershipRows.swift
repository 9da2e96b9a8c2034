import Base

/// Reads and writes rows of `storage_servers`, `stores` and the setting that numbers the rings.
enum MembershipRows {
  /// The setting that holds the number of the present ring, 8 bytes big-endian.
  static let ringSetting = "ring_version"
  /// The number before the first change.
  static let firstRing: Int64 = 1

  static let server = SQLStatement(
    """
    SELECT id, address, zone, state, version, heartbeat_ms, joined_ms FROM storage_servers
    WHERE id = $1
    """)
  static let store = SQLStatement(
    """
    SELECT id, server_id, ordinal, state, weight, capacity, available, chunk_count, updated_ms
    FROM stores WHERE id = $1
    """)
  static let allServers = SQLStatement(
    """
    SELECT id, address, zone, state, version, heartbeat_ms, joined_ms FROM storage_servers
    ORDER BY id
    """)
  static let allStores = SQLStatement(
    """
    SELECT id, server_id, ordinal, state, weight, capacity, available, chunk_count, updated_ms
    FROM stores WHERE server_id IS NOT NULL ORDER BY server_id, ordinal, id
    """)
  private static let makeRing = SQLStatement(
    "INSERT INTO settings(name, value) VALUES($1, $2) ON CONFLICT DO NOTHING")
  private static let lockRing = SQLStatement(
    "SELECT value FROM settings WHERE name = $1 @update")
  private static let readRing = SQLStatement("SELECT value FROM settings WHERE name = $1")
  private static let setRing = SQLStatement("UPDATE settings SET value = $1 WHERE name = $2")

  static func server(_ row: SQLRow) throws -> StorageServerRecord {
    guard let state = StorageServerRecord.State(rawValue: try row.int(3)) else {
      throw SQLRow.corrupt(3)
    }
    return StorageServerRecord(
      id: try row.id(0), address: try row.text(1), zone: try row.text(2), state: state,
      version: try row.text(4), lastHeartbeat: try row.time(5), joined: try row.time(6))
  }

  static func store(_ row: SQLRow) throws -> StoreRecord {
    guard let state = StoreRecord.State(rawValue: try row.int(3)) else {
      throw SQLRow.corrupt(3)
    }
    return StoreRecord(
      id: try row.id(0), server: try row.id(1), ordinal: try row.small(2), state: state,
      weight: try row.small(4), capacity: try row.int(5), available: try row.int(6),
      chunkCount: try row.int(7), lastSeen: try row.time(8))
  }

  /// The number of the present ring.
  static func ring(_ session: any SQLSession) async throws -> Int64 {
    try number(try await session.query(readRing, [.text(ringSetting)])) ?? firstRing
  }

  /// The same, for a transaction that changes members: until it ends no other does.
  static func lockRing(_ session: any SQLSession) async throws -> Int64 {
    try await session.run(makeRing, [.text(ringSetting), .bytes(bytes(firstRing))])
    return try number(try await session.query(lockRing, [.text(ringSetting)])) ?? firstRing
  }

  /// Numbers a new ring. Precondition: `before` was returned by `lockRing` in this transaction.
  static func raiseRing(from before: Int64, _ session: any SQLSession) async throws {
    try await session.run(setRing, [.bytes(bytes(before &+ 1)), .text(ringSetting)])
  }

  private static func number(_ rows: SQLRows) throws -> Int64? {
    guard let value = try rows.first?.bytes(0) else { return nil }
    guard value.count == 8 else { throw SQLRow.corrupt(0) }
    return Int64(bitPattern: value.reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
  }

  private static func bytes(_ number: Int64) -> [UInt8] {
    stride(from: 56, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: number >> Int64($0))
    }
  }
}
