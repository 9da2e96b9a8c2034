public import Base

extension SQLMetadataStore: WriterLeaseStore {
  private enum SQL {
    // A row that all writers write as they begin: one after the other.
    static let lockEpochs = SQLStatement(
      """
      INSERT INTO settings(name, value) VALUES('writer_epoch_lock', $1)
      ON CONFLICT(name) DO UPDATE SET value = excluded.value
      """)
    static let highest = SQLStatement("SELECT max(epoch) FROM writers")
    static let fenceAll = SQLStatement("UPDATE writers SET state = 1 WHERE state = 0")
    static let insert = SQLStatement(
      """
      INSERT INTO writers(epoch, process, state, lease_ms, ring_version, started_ms)
      VALUES($1, '', 0, $2, $3, $4) ON CONFLICT DO NOTHING
      """)
    static let renew = SQLStatement(
      """
      UPDATE writers SET lease_ms = $1, oldest_read_ms = $2 WHERE epoch = $3 AND state = 0
      """)
    static let renewAll = SQLStatement(
      """
      UPDATE writers SET lease_ms = $1, oldest_read_ms = $2, ring_version = $3
      WHERE epoch = $4 AND state = 0
      """)
    // An update alone would not wait for the commits that hold a key-share lock on the row.
    static let lock = SQLStatement("SELECT state FROM writers WHERE epoch = $1 @update")
    static let expired = SQLStatement(
      """
      SELECT epoch FROM writers WHERE state = 0 AND lease_ms < $1 ORDER BY epoch @update
      """)
    static let fence = SQLStatement(
      "UPDATE writers SET state = 1 WHERE epoch = $1 AND state = 0")
    static let live = SQLStatement(
      """
      SELECT epoch, lease_ms, ring_version, oldest_read_ms FROM writers WHERE state = 0
      ORDER BY epoch
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
    try await beginWriter(
      minimum: minimum, ringVersion: ringVersion, lease: .milliseconds(Self.leaseLength))
  }

  /// `beginWriter` with a lease of `length`.
  public func beginWriter(
    minimum: UInt64, ringVersion: Int64, lease length: Duration
  ) async throws -> WriterLease {
    let isEmbedded = driver.dialect == .sqlite
    let epoch = try await driver.write(cost: 256) { session in
      try await session.execute(SQL.lockEpochs, [.bytes([])])
      if isEmbedded {
        try await session.run(SQL.fenceAll, [])
        session.memo.content.liveEpoch = nil
      }
      let now = try await session.now().milliseconds
      while true {
        let highest = try await session.query(SQL.highest, []).first?.optionalInt(0) ?? 0
        let before = max(UInt64(max(highest, 0)), minimum)
        guard before < VersionNumber.maximumEpoch else {
          throw MetadataError.unavailable("no writer epochs are left")
        }
        // Another process may take the same number at the same time: the next one is free.
        let added = try await session.run(
          SQL.insert,
          [
            .int(Int64(before + 1)), .int(now &+ length.milliseconds), .int(ringVersion),
            .int(now),
          ])
        if added > 0 { return before + 1 }
      }
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

  /// Extends the lease, tells how long the oldest running read has run, and which ring all writes
  /// that still run go by.
  ///
  /// Returns what the database says of the writer from then on. Nil, and nothing is changed, when it
  /// is in a state of before the renewal's witness: looked at in the same transaction, which no
  /// restore can come between. Throws `fenced` when the writer was reclaimed.
  public func renewWriter(_ renewal: WriterRenewal) async throws -> WriterWitness? {
    guard let epoch else { throw MetadataError.fenced }
    return try await driver.write(cost: 128) { session in
      renewal.begin()
      if let witness = renewal.witness, try await Self.isBefore(witness, in: session) {
        return nil
      }
      let now = try await session.now().milliseconds
      let end = now &+ renewal.length.milliseconds
      let oldestRead = renewal.readAge().map { now &- $0.milliseconds }
      let changed = try await session.run(
        SQL.renewAll,
        [.int(end), .optional(oldestRead), .int(renewal.ringVersion), .int(Int64(epoch))])
      guard changed > 0 else { throw MetadataError.fenced }
      return WriterWitness(epoch: epoch, leaseEnd: Timestamp(milliseconds: end))
    }
  }

  /// Fences the writers whose lease ran out, by the database's clock; waits for commits of theirs
  /// that are on their way. Returns their epochs.
  public func fenceExpiredWriters() async throws -> [UInt64] {
    try await leasedWrite(cost: 256) { session in
      let now = try await session.now().milliseconds
      let epochs = try await session.query(SQL.expired, [.int(now)]).map { try $0.int(0) }
      for epoch in epochs { try await session.run(SQL.fence, [.int(epoch)]) }
      if !epochs.isEmpty { session.memo.content.liveEpoch = nil }
      return epochs.map { UInt64(max($0, 0)) }
    }
  }

  /// The writers that are neither fenced nor ended.
  public func liveWriters() async throws -> [WriterRecord] {
    try await driver.read { session in
      try await session.query(SQL.live, []).map { row in
        WriterRecord(
          epoch: UInt64(try row.small(0)), leaseEnd: try row.time(1), ringVersion: try row.int(2),
          oldestRead: try row.optionalInt(3).map { Timestamp(milliseconds: $0) })
      }
    }
  }

  /// Ends the writer: nothing of it is unfinished, so nothing is to be swept. Its commits fail with
  /// `fenced` from then on.
  public func endWriter() async throws {
    guard let epoch else { return }
    _ = try await driver.write(cost: 128) { session in
      session.memo.content.liveEpoch = nil
      _ = try await session.query(SQL.lock, [.int(Int64(epoch))])
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
    _ = try await leasedWrite(cost: 128) { session in
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
