public import Base

/// A snapshot of the metadata that lies in the stores.
public struct StoredSnapshot: Hashable, Sendable {
  /// Its number: later ones have higher ones.
  public var number: UInt32
  /// Whether all of it is there.
  public var isComplete: Bool
  /// Whether it was given up in the middle; its row keeps its number from being used again.
  public var isGivenUp = false
  /// The epoch of the writer that makes it; nil once it is complete, and where that is not known.
  public var maker: UInt64?
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
    number: UInt32, isComplete: Bool, maker: UInt64? = nil, log: [UInt8], floor: Int64,
    started: Timestamp, finished: Timestamp, bytes: Int64, extents: [ExtentID]
  ) {
    self.number = number
    self.isComplete = isComplete
    self.maker = maker
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
    static let forget = SQLStatement(
      "DELETE FROM metadata_snapshots WHERE state = 2 AND number < $1")
    static let parts = SQLStatement("SELECT id FROM extents WHERE id >= $1 AND id <= $2")
    static let hasExtent = SQLStatement("SELECT 1 FROM extents WHERE id = $1")
    static let state = SQLStatement("SELECT state FROM metadata_snapshots WHERE number = $1")
    static let writer = SQLStatement("SELECT state FROM writers WHERE epoch = $1")
    static let isDead = SQLStatement("SELECT 1 FROM tombstones WHERE extent = $1")
  }

  private static func snapshot(_ row: SQLRow) throws -> StoredSnapshot {
    let bytes = try row.bytes(7)
    guard let number = UInt32(exactly: try row.int(0)), bytes.count % 16 == 0 else {
      throw SQLRow.corrupt(0)
    }
    let state = try row.int(1)
    var result = StoredSnapshot(
      number: number, isComplete: state == 1, maker: maker(state), log: try row.bytes(2),
      floor: try row.int(3), started: try row.time(4), finished: try row.time(5),
      bytes: try row.int(6),
      extents: stride(from: 0, to: bytes.count, by: 16).map { ID128(bigEndian: bytes, at: $0) })
    result.isGivenUp = state == 2
    return result
  }

  /// A row's state: 1 when complete, 2 when given up, else the negative epoch of its maker, or 0.
  private static func state(_ snapshot: StoredSnapshot) -> Int64 {
    if snapshot.isComplete { return 1 }
    return snapshot.isGivenUp ? 2 : -(Int64(exactly: snapshot.maker ?? 0) ?? 0)
  }

  private static func maker(_ state: Int64) -> UInt64? { state < 0 ? state.magnitude : nil }

  /// Whether a snapshot may still get parts: it is not complete, and its maker is not known to be
  /// fenced.
  static func isBeingMade(_ number: UInt32, _ session: any SQLSession) async throws -> Bool {
    let row = try await session.query(SQL.state, [.int(Int64(number))]).first
    guard let state = try row?.int(0), state <= 0 else { return false }
    guard let maker = maker(state), let epoch = Int64(exactly: maker),
      let writer = try await session.query(SQL.writer, [.int(epoch)]).first
    else { return true }
    return try writer.int(0) == 0
  }

  private static func write(_ snapshot: StoredSnapshot, _ session: any SQLSession) async throws {
    try await session.run(
      SQL.put,
      [
        .int(Int64(snapshot.number)), .int(state(snapshot)), .bytes(snapshot.log),
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
    let epoch = self.epoch
    return try await mutate { session in
      let highest = try await session.query(SQL.highest, []).first?.int(0) ?? 0
      guard let number = UInt32(exactly: max(highest, Int64(minimum)) + 1) else {
        throw MetadataError.unavailable("no numbers for snapshots are left")
      }
      let now = try await session.now()
      let snapshot = StoredSnapshot(
        number: number, isComplete: false, maker: epoch, log: log, floor: floor, started: now,
        finished: now, bytes: 0, extents: [])
      try await Self.write(snapshot, session)
      return snapshot
    }
  }

  /// Records a part of a snapshot that is durable in the stores; with the last one the snapshot is
  /// complete. Throws `notFound` when the snapshot was removed meanwhile, or was begun by another
  /// writer than this one is by now.
  public func addSnapshotPart(
    _ part: Extent, to number: UInt32, isLast: Bool
  ) async throws {
    let (cache, epoch) = (placements, self.epoch)
    let made = epoch.map { Set([$0]) } ?? []
    let learned = try await mutate(cost: 1024, made: made) { session in
      guard let row = try await session.query(SQL.find, [.int(Int64(number))]).first else {
        throw MetadataError.notFound("snapshot")
      }
      var snapshot = try Self.snapshot(row)
      // Once its maker is fenced, what nothing names yet is taken for given up.
      guard !snapshot.isComplete, !snapshot.isGivenUp,
        snapshot.maker == nil || snapshot.maker == epoch
      else {
        throw MetadataError.notFound("snapshot")
      }
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

  /// Makes tombstones of parts that no snapshot names: in the end of a rebuild, whose rows may tell
  /// of snapshots that are gone or were never complete.
  public func removeUnnamedParts() async throws {
    let named = Set(try await snapshots().flatMap(\.extents))
    try await mutate(cost: 1024) { session in
      let now = try await session.now().milliseconds
      let parts = try await session.query(
        SQL.parts, [.bytes(SystemExtentID.firstPart.bytes), .bytes(SystemExtentID.lastPart.bytes)])
      for extent in try parts.map({ try $0.id(0) as ExtentID }) where !named.contains(extent) {
        try await ObsoleteVersion.entomb(extent.bytes, now: now, session)
      }
    }
  }

  /// The snapshots that this writer has begun and not completed.
  public func unfinishedSnapshots() async throws -> [UInt32] {
    guard let epoch else { return [] }
    return try await snapshots().filter { $0.maker == epoch }.map(\.number)
  }

  /// Gives up a snapshot that is not complete: its parts become tombstones and it gets no more. Its
  /// number stays used, in its row, until a later one is complete: of what lies in the stores
  /// under one number, only one is ever whole.
  public func giveUpSnapshot(_ number: UInt32) async throws {
    try await mutate(cost: 1024) { session in
      let key: [SQLValue] = [.int(Int64(number))]
      guard let row = try await session.query(SQL.find, key).first else { return }
      var snapshot = try Self.snapshot(row)
      guard !snapshot.isComplete else { return }
      let now = try await session.now().milliseconds
      for extent in snapshot.extents {
        try await ObsoleteVersion.entomb(extent.bytes, now: now, session)
      }
      (snapshot.isGivenUp, snapshot.maker) = (true, nil)
      (snapshot.extents, snapshot.bytes) = ([], 0)
      try await Self.write(snapshot, session)
      // Those before it keep no number that this one does not.
      try await session.run(SQL.forget, key)
    }
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
