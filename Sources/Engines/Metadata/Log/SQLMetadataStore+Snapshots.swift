public import Base

/// A snapshot of the metadata that lies in the stores.
public struct StoredSnapshot: Hashable, Sendable {
  /// Its number: later ones have higher ones.
  public var number: UInt32
  /// Whether all of it is there.
  public var isComplete: Bool
  /// The change log that goes on from it; empty for none.
  public var log: [UInt8]
  /// Every transaction with a number up to this one is in it.
  public var floor: Int64
  /// When it was begun.
  public var started: Timestamp
  /// When it was complete; before that, when it was begun.
  public var finished: Timestamp
  /// Bytes of its parts.
  public var bytes: Int64
  /// Its parts, in order.
  public var extents: [ExtentID]

  /// Makes a record of its fields.
  public init(
    number: UInt32, isComplete: Bool, log: [UInt8], floor: Int64, started: Timestamp,
    finished: Timestamp, bytes: Int64, extents: [ExtentID]
  ) {
    self.number = number
    self.isComplete = isComplete
    self.log = log
    self.floor = floor
    self.started = started
    self.finished = finished
    self.bytes = bytes
    self.extents = extents
  }
}

extension SQLMetadataStore {
  private enum SQL {
    static let columns = """
      number, state, log_id, floor_number, started_ms, finished_ms, bytes, extents
      """
    static let highest = SQLStatement("SELECT COALESCE(max(number), 0) FROM metadata_snapshots")
    static let list = SQLStatement("SELECT \(columns) FROM metadata_snapshots ORDER BY number")
    static let find = SQLStatement(
      "SELECT \(columns) FROM metadata_snapshots WHERE number = $1 @update")
    static let put = SQLStatement(
      """
      INSERT INTO metadata_snapshots(\(columns)) VALUES($1, $2, $3, $4, $5, $6, $7, $8)
      ON CONFLICT(number) DO UPDATE SET state = excluded.state,
        finished_ms = excluded.finished_ms, bytes = excluded.bytes, extents = excluded.extents
      """)
    static let delete = SQLStatement("DELETE FROM metadata_snapshots WHERE number = $1")
    static let hasExtent = SQLStatement("SELECT 1 FROM extents WHERE id = $1")
    static let isDead = SQLStatement("SELECT 1 FROM tombstones WHERE extent = $1")
  }

  private static func snapshot(_ row: SQLRow) throws -> StoredSnapshot {
    let bytes = try row.bytes(7)
    guard let number = UInt32(exactly: try row.int(0)), bytes.count % 16 == 0 else {
      throw SQLRow.corrupt(0)
    }
    return StoredSnapshot(
      number: number, isComplete: try row.int(1) == 1, log: try row.bytes(2),
      floor: try row.int(3), started: try row.time(4), finished: try row.time(5),
      bytes: try row.int(6),
      extents: stride(from: 0, to: bytes.count, by: 16).map { ID128(bigEndian: bytes, at: $0) })
  }

  private static func write(_ snapshot: StoredSnapshot, _ session: any SQLSession) async throws {
    try await session.run(
      SQL.put,
      [
        .int(Int64(snapshot.number)), .int(snapshot.isComplete ? 1 : 0), .bytes(snapshot.log),
        .int(snapshot.floor), .int(snapshot.started.milliseconds),
        .int(snapshot.finished.milliseconds), .int(snapshot.bytes),
        .bytes(snapshot.extents.flatMap(\.bytes)),
      ])
  }

  /// The snapshots in the stores, oldest first, unfinished ones included.
  public func snapshots() async throws -> [StoredSnapshot] {
    try await driver.read { session in
      try await session.query(SQL.list, []).map { try Self.snapshot($0) }
    }
  }

  /// Begins a snapshot with a number above all that are known and above `minimum`.
  public func beginSnapshot(
    minimum: UInt32, log: [UInt8], floor: Int64
  ) async throws -> StoredSnapshot {
    try await mutate { session in
      let highest = try await session.query(SQL.highest, []).first?.int(0) ?? 0
      guard let number = UInt32(exactly: max(highest, Int64(minimum)) + 1) else {
        throw MetadataError.unavailable("no numbers for snapshots are left")
      }
      let now = try await session.now()
      let snapshot = StoredSnapshot(
        number: number, isComplete: false, log: log, floor: floor, started: now, finished: now,
        bytes: 0, extents: [])
      try await Self.write(snapshot, session)
      return snapshot
    }
  }

  /// Records a part of a snapshot that is durable in the stores; with the last one the snapshot is
  /// complete. Throws `notFound` when the snapshot was removed meanwhile.
  public func addSnapshotPart(
    _ part: Extent, to number: UInt32, isLast: Bool
  ) async throws {
    let cache = placements
    let learned = try await mutate(cost: 1024) { session in
      guard let row = try await session.query(SQL.find, [.int(Int64(number))]).first else {
        throw MetadataError.notFound("snapshot")
      }
      var snapshot = try Self.snapshot(row)
      let now = try await session.now()
      let learned = try await ExtentRows.insert(part, cache: cache, now: now, session)
      snapshot.extents.append(part.id)
      snapshot.bytes &+= part.plaintextLength
      snapshot.isComplete = isLast
      snapshot.finished = now
      try await Self.write(snapshot, session)
      return learned
    }
    cache.add(learned)
  }

  /// Records a snapshot that was found in the stores, its parts included; not one that is being
  /// deleted.
  public func adoptSnapshot(_ snapshot: StoredSnapshot, parts: [Extent]) async throws {
    let cache = placements
    let learned = try await mutate(cost: 1024) { session in
      var learned: [[UInt8]: Int64] = [:]
      let now = try await session.now()
      for part in parts
      where try await session.query(SQL.isDead, [.bytes(part.id.bytes)]).count > 0 {
        return learned
      }
      for part in parts
      where try await session.query(SQL.hasExtent, [.bytes(part.id.bytes)]).count == 0 {
        let placement = try await ExtentRows.insert(part, cache: cache, now: now, session)
        learned.merge(placement) { _, new in new }
      }
      try await Self.write(snapshot, session)
      return learned
    }
    cache.add(learned)
  }

  /// Forgets a snapshot; its parts become tombstones.
  public func removeSnapshot(_ number: UInt32) async throws {
    try await mutate(cost: 1024) { session in
      let key: [SQLValue] = [.int(Int64(number))]
      guard let row = try await session.query(SQL.find, key).first else { return }
      let now = try await session.now().milliseconds
      for extent in try Self.snapshot(row).extents {
        try await ObsoleteVersion.entomb(extent.bytes, now: now, session)
      }
      try await session.run(SQL.delete, key)
    }
  }
}
