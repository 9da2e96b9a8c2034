import Base

extension SQLMetadataStore: LeaseStore {
  private enum SQL {
    static let read = SQLStatement(
      "SELECT holder, fence, expires_ms FROM leases WHERE name = $1 @update")
    static let first = SQLStatement(
      """
      INSERT INTO leases(name, holder, fence, expires_ms) VALUES($1, $2, $3, $4)
      ON CONFLICT DO NOTHING
      """)
    static let take = SQLStatement(
      "UPDATE leases SET holder = $1, fence = $2, expires_ms = $3 WHERE name = $4")
    // Takes no lock that conflicts with those of transactions under this lease.
    static let renew = SQLStatement(
      "UPDATE leases SET expires_ms = $1 WHERE name = $2 AND holder = $3 AND fence = $4")
    static let check = SQLStatement(
      "SELECT holder, fence FROM leases WHERE name = $1 @share")
  }

  /// Takes the lease of that name for `length`, with a new fence; nil while another holder's lasts.
  ///
  /// From then on transactions under an older fence of that lease fail with `fenced`. A fence is
  /// never below the epoch of the writer that takes it: so it also passes those of a database that
  /// was lost or put back, after which epochs are left out.
  public func acquireLease(
    _ name: String, holder: Int64, length: Duration
  ) async throws -> Int64? {
    let floor = Int64(clamping: epoch ?? 0)
    return try await driver.write(cost: 128) { session in
      let now = try await session.now().milliseconds
      let end = SQLValue.int(now &+ length.milliseconds)
      guard let row = try await session.query(SQL.read, [.text(name)]).first else {
        // Another may be first: then it holds the lease.
        let fence = max(1, floor)
        let added = try await session.run(
          SQL.first, [.text(name), .int(holder), .int(fence), end])
        return added > 0 ? fence : nil
      }
      guard try row.int(0) == holder || row.int(2) < now else { return nil }
      let fence = max(try row.int(1) &+ 1, floor)
      try await session.run(SQL.take, [.int(holder), .int(fence), end, .text(name)])
      return fence
    }
  }

  /// Extends the lease; false when it has another holder or fence by now.
  public func renewLease(
    _ name: String, holder: Int64, fence: Int64, length: Duration
  ) async throws -> Bool {
    try await driver.write(cost: 128) { session in
      let end = try await session.now().milliseconds &+ length.milliseconds
      return try await session.run(
        SQL.renew, [.int(end), .text(name), .int(holder), .int(fence)]) > 0
    }
  }

  /// Gives the lease back, so that another may take it at once.
  public func releaseLease(_ name: String, holder: Int64, fence: Int64) async throws {
    _ = try await driver.write(cost: 128) { session in
      try await session.run(SQL.renew, [.int(0), .text(name), .int(holder), .int(fence)])
    }
  }

  /// Throws `fenced` unless the lease still has that holder and fence, which nobody changes before
  /// the transaction has ended.
  static func check(_ lease: WorkLease, _ session: any SQLSession) async throws {
    let (holder, fence) = (lease.holder, lease.fence)
    try await session.check(SQL.check, [.text(lease.name)]) { rows in
      guard let row = rows.first, try row.int(0) == holder, try row.int(1) == fence else {
        throw MetadataError.fenced
      }
    }
  }

  /// A transaction that fails when the current task's lease was taken over.
  func leasedWrite<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    guard let lease = WorkLease.current else {
      return try await write(cost: cost, body)
    }
    return try await write(cost: cost) { session in
      try await Self.check(lease, session)
      return try await body(session)
    }
  }
}

extension Duration {
  /// Whole milliseconds, rounded down, within what a timestamp can hold.
  var milliseconds: Int64 {
    let limit: Int64 = 1 << 50
    let seconds = min(max(components.seconds, -limit / 1000), limit / 1000)
    return seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
  }
}
