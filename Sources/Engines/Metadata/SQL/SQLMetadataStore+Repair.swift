public import Base

extension SQLMetadataStore {
  private enum SQL {
    static let blocks = SQLStatement(
      "SELECT data_count + parity_count, generation FROM extents WHERE id = $1 @update")
    static let queued = SQLStatement(
      "SELECT chunks, attempts FROM repair_queue WHERE extent = $1 @update")
    static let put = SQLStatement(
      """
      INSERT INTO repair_queue(extent, chunks, survivors, reason, queued_ms)
      VALUES($1, $2, $3, $4, $5)
      ON CONFLICT(extent) DO UPDATE SET chunks = excluded.chunks,
        survivors = excluded.survivors, reason = excluded.reason
      """)
    static let list = SQLStatement(
      """
      SELECT q.chunks, q.reason, q.attempts, \(ExtentRows.columns)
      FROM repair_queue q JOIN extents e ON e.id = q.extent
      JOIN placements p ON p.id = e.placement_id
      WHERE q.not_before_ms <= $1 ORDER BY q.survivors, q.not_before_ms LIMIT $2
      """)
    static let move = SQLStatement(
      """
      UPDATE extents SET placement_id = $1, generation = generation + 1, missing = missing & ~$2,
        spread = $3
      WHERE id = $4
      """)
    static let done = SQLStatement("DELETE FROM repair_queue WHERE extent = $1")
    static let rest = SQLStatement(
      "UPDATE repair_queue SET chunks = $1, survivors = $2 WHERE extent = $3")
    static let postpone = SQLStatement(
      """
      UPDATE repair_queue SET attempts = attempts + 1, not_before_ms = $1, reason = $2
      WHERE extent = $3
      """)
    static let walk = SQLStatement(
      """
      SELECT \(ExtentRows.columns) FROM extents e JOIN placements p ON p.id = e.placement_id
      WHERE e.id > $1 ORDER BY e.id LIMIT $2
      """)
    static let underSpread = SQLStatement(
      """
      SELECT \(ExtentRows.columns) FROM extents e JOIN placements p ON p.id = e.placement_id
      WHERE e.spread = 1 AND e.id > $1 ORDER BY e.id LIMIT $2
      """)
  }

  /// Text of a reason at most, in bytes.
  private static let maximumReason = 500

  private static func reason(_ text: String) -> SQLValue {
    .text(text.utf8.count <= maximumReason ? text : String(text.prefix(maximumReason / 4)))
  }

  /// Extents that one transaction queues at most: it holds their rows until it is durable.
  private static let queuedAtOnce = 64

  /// Queues chunks for repair; queueing twice is queueing once. An extent that is gone needs none.
  /// Many extents take several transactions, each of which counts once it is committed.
  public func queueRepairs(
    _ repairs: [(extent: ExtentID, chunks: UInt32)], reason: String
  ) async throws {
    // Everybody locks extents in the order of their ids.
    var rest = Dictionary(repairs.map { ($0.extent, $0.chunks) }, uniquingKeysWith: |)
      .sorted { $0.key < $1.key }[...]
    while !rest.isEmpty {
      let group = rest.prefix(Self.queuedAtOnce)
      rest = rest.dropFirst(Self.queuedAtOnce)
      try await mutate(cost: 128 * group.count) { session in
        try await Self.queue(group, Self.reason(reason), session)
      }
    }
  }

  private static func queue(
    _ repairs: ArraySlice<(key: ExtentID, value: UInt32)>, _ reason: SQLValue,
    _ session: any SQLSession
  ) async throws {
    let found = try await FoundExtents(repairs.map(\.key), session)
    let now = SQLValue.int(try await session.now().milliseconds)
    for (index, repair) in repairs.enumerated() {
      guard let count = found.counts[index] else { continue }
      let there = count < 32 ? (UInt32(1) << UInt32(count)) - 1 : UInt32.max
      let before = found.queued[index] ?? 0
      let all = UInt32(truncatingIfNeeded: before) | (repair.value & there)
      guard all != 0, Int64(all) != before else { continue }
      let survivors = Int64(count - all.nonzeroBitCount)
      try await session.execute(
        SQL.put, [.bytes(repair.key.bytes), .int(Int64(all)), .int(survivors), reason, now])
    }
  }

  /// How many chunks each extent of a group has, its generation, and which chunks are queued; nil for
  /// what is not there. Used by one task.
  private final class FoundExtents {
    private(set) var counts: [Int?]
    private(set) var generations: [Int64?]
    private(set) var queued: [Int64?]

    /// Looks up and locks them, in the order of the ids.
    init(_ extents: [ExtentID], _ session: any SQLSession) async throws {
      counts = Array(repeating: nil, count: extents.count)
      generations = Array(repeating: nil, count: extents.count)
      queued = Array(repeating: nil, count: extents.count)
      let ids = extents.map { [SQLValue.bytes($0.bytes)] }
      for (index, id) in ids.enumerated() {
        try await session.check(SQL.blocks, id) { [self] rows in
          counts[index] = try rows.first?.small(0)
          generations[index] = try rows.first?.int(1)
        }
      }
      for (index, id) in ids.enumerated().dropLast() {
        try await session.check(SQL.queued, id) { [self] rows in
          queued[index] = try rows.first?.int(0)
        }
      }
      // Once the rows of a query are there, those of all checks before it are.
      guard let last = ids.last else { return }
      queued[ids.count - 1] = try await session.query(SQL.queued, last).first?.int(0)
    }
  }

  /// Items to repair, the extents with the fewest survivors first.
  public func repairs(limit: Int) async throws -> [RepairItem] {
    try await driver.read { session in
      try await session.query(
        SQL.list, [.int(try await session.now().milliseconds), .int(Int64(max(limit, 0)))]
      ).map { row in
        guard let chunks = UInt32(exactly: try row.int(0)) else { throw SQLRow.corrupt(0) }
        return RepairItem(
          extent: try ExtentRows.extent(row, at: 3), chunks: chunks, reason: try row.text(1),
          attempts: try row.small(2))
      }
    }
  }

  /// Records in one transaction that chunks lie where each repair says, provided its extent is
  /// still of that generation: false for those, of which nothing is changed, that are not.
  /// Precondition: each extent is there once.
  public func finishRepairs(_ repairs: [FinishedRepair]) async throws -> [Bool] {
    guard !repairs.isEmpty else { return [] }
    let cache = placements
    // Everybody locks extents in the order of their ids.
    let sorted = repairs.sorted { $0.extent < $1.extent }
    precondition(
      zip(sorted, sorted.dropFirst()).allSatisfy { $0.extent < $1.extent }, "each is there once")
    let recorded: [ExtentID: (stores: [UInt8], placement: Int64)] =
      try await mutate(cost: 128 * repairs.count) { session in
        let found = try await FoundExtents(sorted.map(\.extent), session)
        var recorded: [ExtentID: (stores: [UInt8], placement: Int64)] = [:]
        for (index, repair) in sorted.enumerated()
        where found.generations[index] == repair.generation
          && found.counts[index] == repair.stores.count
        {
          let encoded = PlacementCodec.encode(repair.stores)
          let placement = try await ExtentRows.placement(encoded, cache: cache, session)
          try await Self.record(repair, placement, queued: found.queued[index] ?? 0, session)
          recorded[repair.extent] = (encoded, placement)
        }
        return recorded
      }
    cache.add(
      Dictionary(
        recorded.values.map { ($0.stores, $0.placement) }, uniquingKeysWith: { first, _ in first }))
    return repairs.map { recorded[$0.extent] != nil }
  }

  private static func record(
    _ repair: FinishedRepair, _ placement: Int64, queued: Int64, _ session: any SQLSession
  ) async throws {
    let id = SQLValue.bytes(repair.extent.bytes)
    let spread = ExtentRows.spread(repair.stores, repair.awaitsSpread)
    try await session.execute(
      SQL.move, [.int(placement), .int(Int64(repair.chunks)), spread, id])
    let rest = queued & ~Int64(repair.chunks)
    if rest == 0 {
      try await session.execute(SQL.done, [id])
    } else {
      let survivors = repair.stores.count - rest.nonzeroBitCount
      try await session.execute(SQL.rest, [.int(rest), .int(Int64(survivors)), id])
    }
  }

  /// Records that a repair did not come about: it waits, each time longer, up to an hour.
  public func postponeRepair(_ extent: ExtentID, reason: String) async throws {
    try await mutate { session in
      let id = SQLValue.bytes(extent.bytes)
      guard let row = try await session.query(SQL.queued, [id]).first else { return }
      let attempts = min(try row.small(1), 6)
      let delay = min(Int64(60_000) << Int64(attempts), 3_600_000)
      try await session.run(
        SQL.postpone,
        [.int(try await session.now().milliseconds &+ delay), Self.reason(reason), id])
    }
  }

  /// All extents by id behind `after`: what scrub walks along.
  public func extents(after: ExtentID?, limit: Int) async throws -> [Extent] {
    try await walk(SQL.walk, after, limit)
  }

  /// Extents of which a store holds more than one chunk, by id behind `after`.
  public func underSpread(after: ExtentID?, limit: Int) async throws -> [Extent] {
    try await walk(SQL.underSpread, after, limit)
  }

  private func walk(
    _ statement: SQLStatement, _ after: ExtentID?, _ limit: Int
  ) async throws -> [Extent] {
    try await driver.read { session in
      try await session.query(
        statement, [.bytes(after?.bytes ?? []), .int(Int64(max(limit, 0)))]
      ).map { try ExtentRows.extent($0) }
    }
  }
}
