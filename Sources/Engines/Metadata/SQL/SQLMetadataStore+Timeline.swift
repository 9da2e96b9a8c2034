import Base

/// A database that was put back to an earlier state.
///
/// It knows nothing of what was committed since: whose chunks look like leftovers of writers that
/// it takes for dead, whose epochs it would give again, and whose changes lie in a log that it would
/// go on with. A new timeline keeps all three apart.
extension SQLMetadataStore {
  private enum SQL {
    static let lease = SQLStatement("SELECT lease_ms FROM writers WHERE epoch = $1")
    static let highest = SQLStatement("SELECT max(epoch) FROM writers")
    static let alive = SQLStatement(
      "SELECT count(*) FROM writers WHERE state = 0 AND lease_ms >= $1")
    static let fenceAll = SQLStatement("UPDATE writers SET state = 1 WHERE state = 0")
    static let skipTo = SQLStatement(
      """
      INSERT INTO writers(epoch, process, state, lease_ms, ring_version, started_ms)
      VALUES($1, '', 2, 0, 0, $2)
      """)
    static let hold = SQLStatement(
      """
      INSERT INTO settings(name, value) VALUES('hold_sweep', $1)
      ON CONFLICT(name) DO UPDATE SET value = excluded.value
      """)
  }

  /// The lease of this store's writer as it is now; nil before one was begun.
  public func writerWitness() async throws -> WriterWitness? {
    guard let epoch else { return nil }
    let row = try await driver.read { session in
      try await session.query(SQL.lease, [.int(Int64(epoch))]).first
    }
    return try row.map { WriterWitness(epoch: epoch, leaseEnd: try $0.time(0)) }
  }

  /// Whether the database is in a state of before `witness`, and no timeline was begun since.
  public func isBefore(_ witness: WriterWitness) async throws -> Bool {
    try await driver.read { try await Self.isBefore(witness, in: $0) }
  }

  static func isBefore(
    _ witness: WriterWitness, in session: any SQLSession
  ) async throws -> Bool {
    let highest = try await highestEpoch(session)
    guard highest < witness.epoch + WriterWitness.timelineGap else { return false }
    guard
      let row = try await session.query(SQL.lease, [.int(Int64(clamping: witness.epoch))]).first
    else { return highest < witness.epoch }
    return try row.time(0) < witness.leaseEnd
  }

  private static func highestEpoch(_ session: any SQLSession) async throws -> UInt64 {
    UInt64(max(0, try await session.query(SQL.highest, []).first?.optionalInt(0) ?? 0))
  }

  /// Begins a new timeline if the database is in a state of before `witness`; false, and nothing is
  /// changed, if it is not.
  ///
  /// All writers are fenced, later epochs lie above all that may have been given, nothing is swept
  /// before a reconciliation, and the change log begins anew with a snapshot.
  public func beginTimeline(after witness: WriterWitness) async throws -> Bool {
    try await beginTimeline(above: witness.epoch) { try await Self.isBefore(witness, in: $0) }
  }

  /// Begins a new timeline because an operator says that the database was put back. Throws
  /// `unavailable` while a writer's lease lasts: no gateway may run meanwhile.
  public func beginTimeline() async throws {
    _ = try await beginTimeline(above: 0) { session in
      let now = try await session.now().milliseconds
      guard try await session.query(SQL.alive, [.int(now)]).first?.int(0) == 0 else {
        throw MetadataError.unavailable(
          "a gateway uses this database, or did until a moment ago: stop all, and wait for the end"
            + " of their leases")
      }
      return true
    }
  }

  private func beginTimeline(
    above epoch: UInt64, if isDue: @escaping @Sendable (any SQLSession) async throws -> Bool
  ) async throws -> Bool {
    let dialect = driver.dialect
    let isBegun = try await driver.write(cost: 512) { session in
      try await Self.lockChangeLog(session, dialect)
      guard try await isDue(session) else { return false }
      let before = max(try await Self.highestEpoch(session), epoch)
      let next = before + WriterWitness.timelineGap
      guard next < VersionNumber.maximumEpoch else {
        throw MetadataError.unavailable("no writer epochs are left")
      }
      try await session.run(SQL.fenceAll, [])
      session.memo.content.liveEpoch = nil
      try await session.run(
        SQL.skipTo, [.int(Int64(next)), .int(try await session.now().milliseconds)])
      try await session.run(SQL.hold, [.bytes([1])])
      try await Self.nameChangeLog([], session)
      return true
    }
    if isBegun { changeLog.id = nil }
    return isBegun
  }
}
