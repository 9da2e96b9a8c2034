public import Base

extension SQLMetadataStore {
  /// Ids that one statement takes; lists are filled up with their last one.
  private static let listLength = 32

  private enum SQL {
    private static func list(from first: Int) -> String {
      (first..<first + SQLMetadataStore.listLength).map { "$\($0)" }.joined(separator: ", ")
    }

    static let servers = SQLStatement(
      "UPDATE storage_servers SET heartbeat_ms = $1 WHERE id IN (\(list(from: 2)))")
    static let stores = SQLStatement(
      "UPDATE stores SET updated_ms = $1 WHERE id IN (\(list(from: 2)))")
    static let usage = SQLStatement(
      "UPDATE stores SET capacity = $1, available = $2, chunk_count = $3 WHERE id = $4")
    static let version = SQLStatement(
      "UPDATE storage_servers SET version = $1 WHERE id = $2")
    static let queued = SQLStatement(
      "SELECT extent FROM repair_queue WHERE extent > $1 ORDER BY extent LIMIT $2")
    static let hasten = SQLStatement(
      """
      UPDATE repair_queue SET not_before_ms = 0, attempts = 0
      WHERE extent > $1 AND extent <= $2 AND not_before_ms > $3
      """)
    static let standings = SQLStatement(
      """
      SELECT e.id, p.stores, CAST(0 AS @int) FROM extents e JOIN placements p ON p.id = e.placement_id
      WHERE e.id IN (\(list(from: 1)))
      UNION ALL
      SELECT t.extent, p.stores, CAST(1 AS @int) FROM tombstones t JOIN placements p ON p.id = t.placement_id
      WHERE t.extent IN (\(list(from: 1)))
      """)
    static let writer = SQLStatement("SELECT state FROM writers WHERE epoch = $1")
  }

  /// The ids in lists that the statements take.
  private static func lists<Kind>(_ ids: [ID128<Kind>]) -> [[SQLValue]] {
    stride(from: 0, to: ids.count, by: listLength).map { start in
      let some = ids[start..<min(start + listLength, ids.count)].map { SQLValue.bytes($0.bytes) }
      let filling = some.last.map { Array(repeating: $0, count: listLength - some.count) } ?? []
      return some + filling
    }
  }

  /// Records that servers answered and that stores were there, by the database's time.
  public func recordHeartbeats(servers: [ServerID], stores: [StoreID]) async throws {
    // In one order everywhere, so that gateways do not wait for each other in a circle.
    let servers = Self.lists(servers.sorted())
    let stores = Self.lists(stores.sorted())
    try await driver.write(cost: 256) { session in
      let now = SQLValue.int(try await session.now().milliseconds)
      for list in servers { try await session.run(SQL.servers, [now] + list) }
      for list in stores { try await session.run(SQL.stores, [now] + list) }
    }
  }

  /// Records how much stores hold, and the releases that servers run.
  public func recordUsage(
    _ stores: [StoreUsage], versions: [ServerID: String]
  ) async throws {
    let stores = stores.sorted { $0.id < $1.id }
    let versions = versions.sorted { $0.key < $1.key }
    try await driver.write(cost: 128 * (stores.count + versions.count)) { session in
      for (server, version) in versions {
        try await session.run(SQL.version, [.text(version), .bytes(server.bytes)])
      }
      for store in stores {
        try await session.run(
          SQL.usage,
          [
            .int(store.capacity), .int(store.available), .int(store.chunkCount),
            .bytes(store.id.bytes),
          ])
      }
    }
  }

  /// Has those of the next `limit` queued repairs behind `after` tried again that were put off:
  /// there are more stores to write to, or to read from. Returns behind which to go on; nil at the
  /// end.
  public func hastenRepairs(after: ExtentID?, limit: Int) async throws -> ExtentID? {
    let limit = max(1, limit)
    let first = SQLValue.bytes(after?.bytes ?? [])
    return try await leasedWrite(cost: 64 * limit) { session in
      let rows = try await session.query(SQL.queued, [first, .int(Int64(limit))])
      guard rows.count > 0 else { return nil }
      let last: ExtentID = try rows[rows.count - 1].id(0)
      let now = try await session.now().milliseconds
      try await session.run(SQL.hasten, [first, .bytes(last.bytes), .int(now)])
      return rows.count < limit ? nil : last
    }
  }

  /// What the metadata says of each of the extents.
  ///
  /// Whether a writer is fenced is read first: what is not named after that stays so.
  public func standings(of extents: [ExtentID]) async throws -> [ExtentID: ExtentStanding] {
    let ids = Set(extents).sorted()
    let lists = Self.lists(ids)
    let states = try await writerStates(of: Set(ids.map(\.epoch)))
    return try await driver.read { session in
      try await session.snapshot()
      var result: [ExtentID: ExtentStanding] = [:]
      for list in lists {
        let rows = try await session.query(SQL.standings, list)
        for index in 0..<rows.count {
          let row = rows[index]
          let stores = try PlacementCodec.decode(try row.bytes(1))
          result[try row.id(0)] =
            try row.int(2) == 0 ? .owned(stores: stores) : .dead(stores: stores)
        }
      }
      for id in ids where result[id] == nil {
        result[id] = try await Self.standing(
          ofUnnamed: id, writer: states[id.epoch], session)
      }
      return result
    }
  }

  /// What is said of an extent that no row and no tombstone names.
  private static func standing(
    ofUnnamed id: ExtentID, writer state: Int64?, _ session: any SQLSession
  ) async throws -> ExtentStanding {
    if case .snapshot(let number, _)? = SystemExtentID(id) {
      return try await isBeingMade(number, session) ? .unknown : .abandoned
    }
    guard !SystemExtentID.isReserved(id) else { return .unknown }
    // What is quarantined waits for an operator, whoever wrote it.
    if let stores = try await quarantinePlaces(id, session) { return .quarantined(stores: stores) }
    guard let state else { return .orphaned }
    return state == 0 ? .unknown : .garbage
  }

  /// The states of the writers of these epochs, those that are known.
  private func writerStates(of epochs: Set<UInt64>) async throws -> [UInt64: Int64] {
    try await driver.read { session in
      var result: [UInt64: Int64] = [:]
      for epoch in epochs {
        guard let number = Int64(exactly: epoch),
          let row = try await session.query(SQL.writer, [.int(number)]).first
        else { continue }
        result[epoch] = try row.int(0)
      }
      return result
    }
  }
}
