public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let highest = SQLStatement("SELECT max(epoch) FROM writers")
    static let fenceAll = SQLStatement("UPDATE writers SET state = 1 WHERE state = 0")
    static let insert = SQLStatement(
      """
      INSERT INTO writers(epoch, process, state, lease_ms, ring_version, started_ms)
      VALUES($1, '', 0, $2, $3, $4)
      """)
    static let renew = SQLStatement(
      """
      UPDATE writers SET lease_ms = $1, oldest_read_ms = $2 WHERE epoch = $3 AND state = 0
      """)
    static let end = SQLStatement("UPDATE writers SET state = 2 WHERE epoch = $1 AND state = 0")
    static let unswept = SQLStatement("SELECT epoch FROM writers WHERE state = 1 ORDER BY epoch")
    static let swept = SQLStatement("UPDATE writers SET state = 2 WHERE epoch = $1 AND state = 1")
    static let isNamed = SQLStatement(
      """
      SELECT 1 WHERE EXISTS (SELECT 1 FROM extents WHERE id = $1)
        OR EXISTS (SELECT 1 FROM tombstones WHERE extent = $1)
        OR EXISTS (SELECT 1 FROM quarantine WHERE extent = $1)
      """)
  }

  /// How long a lease lasts without being renewed, in milliseconds.
  static let leaseLength: Int64 = 30_000

  /// Begins a writer with an epoch above all before it and above `minimum`. In an embedded
  /// database, which one process owns, all epochs before it are fenced by it.
  ///
  /// From then on this store's commits carry that epoch and fail with `fenced` once it is.
  public func beginWriter(minimum: UInt64, ringVersion: Int64) async throws -> WriterLease {
    let isEmbedded = driver.dialect == .sqlite
    let epoch = try await driver.write(cost: 256) { session in
      let highest = try await session.query(SQL.highest, []).first?.optionalInt(0) ?? 0
      let before = max(UInt64(max(highest, 0)), minimum)
      guard before < VersionNumber.maximumEpoch else {
        throw MetadataError.unavailable("no writer epochs are left")
      }
      if isEmbedded {
        try await session.run(SQL.fenceAll, [])
        session.memo.content.liveEpoch = nil
      }
      let now = try await session.now().milliseconds
      try await session.run(
        SQL.insert,
        [.int(Int64(before + 1)), .int(now &+ Self.leaseLength), .int(ringVersion), .int(now)])
      return before + 1
    }
    self.epoch = epoch
    return WriterLease(epoch: epoch)
  }

  /// Extends the lease and tells the oldest read that runs. Throws `fenced`.
  public func renewWriter(oldestRead: Timestamp?) async throws {
    guard let epoch else { throw MetadataError.fenced }
    try await driver.write(cost: 128) { session in
      let lease = try await session.now().milliseconds &+ Self.leaseLength
      let changed = try await session.run(
        SQL.renew, [.int(lease), .optional(oldestRead?.milliseconds), .int(Int64(epoch))])
      guard changed > 0 else { throw MetadataError.fenced }
    }
  }

  /// Ends the writer: nothing of it is unfinished, so nothing is to be swept. Its commits fail with
  /// `fenced` from then on.
  public func endWriter() async throws {
    guard let epoch else { return }
    _ = try await driver.write(cost: 128) { session in
      session.memo.content.liveEpoch = nil
      return try await session.run(SQL.end, [.int(Int64(epoch))])
    }
  }

  /// Epochs that are fenced and whose unnamed chunks may still lie in the stores.
  public func unsweptEpochs() async throws -> [UInt64] {
    try await driver.read { session in
      try await session.query(SQL.unswept, []).map { UInt64(try $0.small(0)) }
    }
  }

  /// Records that the stores hold no unnamed chunk of an epoch any more.
  public func markSwept(epoch: UInt64) async throws {
    guard let number = Int64(exactly: epoch) else { return }
    _ = try await driver.write(cost: 128) { session in
      try await session.run(SQL.swept, [.int(number)])
    }
  }

  /// Those of the extents that a version, a part or a tombstone names.
  public func named(among extents: [ExtentID]) async throws -> Set<ExtentID> {
    try await driver.read { session in
      try await session.snapshot()
      var result: Set<ExtentID> = []
      for extent in extents
      where try await session.query(SQL.isNamed, [.bytes(extent.bytes)]).count > 0 {
        result.insert(extent)
      }
      return result
    }
  }
}
