public import Base

/// An extent in the stores that nothing names: never live by itself, kept until an operator adopts
/// or drops it.
public struct QuarantinedExtent: Hashable, Sendable {
  /// The extent.
  public var id: ExtentID
  /// What its descriptor says that it is (`ExtentDescriptor.Kind`); 0 when that does not open.
  public var kind: Int
  /// The name of its bucket.
  public var bucket: String
  /// The key of its object.
  public var key: [UInt8]
  /// The version id, or that of the upload that it is a part of.
  public var version: String
  /// The part that it is; 0 for none.
  public var partNumber: Int
  /// Bytes that a client would read.
  public var size: Int64
  /// When it was written.
  public var modified: Timestamp
  /// Data blocks of a stripe.
  public var dataCount: Int
  /// Parity blocks of a stripe.
  public var parityCount: Int
  /// Where each chunk was found, by chunk index; nil where none was.
  public var stores: [StoreID?]
  /// When it was found first.
  public var found: Timestamp

  /// Makes a record of its fields.
  public init(
    id: ExtentID, kind: Int, bucket: String, key: [UInt8], version: String, partNumber: Int,
    size: Int64, modified: Timestamp, dataCount: Int, parityCount: Int, stores: [StoreID?],
    found: Timestamp
  ) {
    self.id = id
    self.kind = kind
    self.bucket = bucket
    self.key = key
    self.version = version
    self.partNumber = partNumber
    self.size = size
    self.modified = modified
    self.dataCount = dataCount
    self.parityCount = parityCount
    self.stores = stores
    self.found = found
  }

  /// Whether enough of its chunks were found to read it.
  public var isReadable: Bool { stores.count { $0 != nil } >= dataCount }
}

extension SQLMetadataStore {
  private enum SQL {
    static let columns = """
      extent, kind, bucket, key, version, part_number, size, modified_ms, data_count, parity_count,
      stores, found_ms
      """
    static let find = SQLStatement("SELECT \(columns) FROM quarantine WHERE extent = $1")
    static let lock = SQLStatement(
      "SELECT \(columns) FROM quarantine WHERE extent = $1 @update")
    static let entomb = SQLStatement(
      """
      INSERT INTO tombstones(extent, placement_id, unconfirmed, created_ms)
      VALUES($1, $2, $3, $4) ON CONFLICT DO NOTHING
      """)
    static let list = SQLStatement(
      "SELECT \(columns) FROM quarantine WHERE extent > $1 ORDER BY extent LIMIT $2")
    static let put = SQLStatement(
      """
      INSERT INTO quarantine(\(columns))
      VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
      ON CONFLICT(extent) DO UPDATE SET stores = excluded.stores
      """)
    static let places = SQLStatement("SELECT stores FROM quarantine WHERE extent = $1")
    static let move = SQLStatement("UPDATE quarantine SET stores = $1 WHERE extent = $2")
    static let delete = SQLStatement("DELETE FROM quarantine WHERE extent = $1")
    static let count = SQLStatement("SELECT count(*) FROM quarantine")
    static let isNamed = SQLStatement(
      """
      SELECT 1 WHERE EXISTS (SELECT 1 FROM extents WHERE id = $1)
        OR EXISTS (SELECT 1 FROM tombstones WHERE extent = $1)
      """)
    static let extent = SQLStatement(
      """
      SELECT \(ExtentRows.columns) FROM extents e JOIN placements p ON p.id = e.placement_id
      WHERE e.id = $1
      """)
    static let live = SQLStatement("SELECT epoch FROM writers WHERE state = 0")
  }

  private static let nowhere = StoreID(high: 0, low: 0)

  private static func item(_ row: SQLRow) throws -> QuarantinedExtent {
    QuarantinedExtent(
      id: try row.id(0), kind: try row.small(1), bucket: try row.text(2), key: try row.bytes(3),
      version: try row.text(4), partNumber: try row.small(5), size: try row.int(6),
      modified: try row.time(7), dataCount: try row.small(8), parityCount: try row.small(9),
      stores: try places(try row.bytes(10)), found: try row.time(11))
  }

  private static func places(_ bytes: [UInt8]) throws -> [StoreID?] {
    try PlacementCodec.decode(bytes).map { $0 == nowhere ? nil : $0 }
  }

  /// Where the chunks of an extent in quarantine were found; nil when it is not there.
  static func quarantinePlaces(
    _ id: ExtentID, _ session: any SQLSession
  ) async throws -> [StoreID?]? {
    guard let row = try await session.query(SQL.places, [.bytes(id.bytes)]).first else {
      return nil
    }
    return try places(try row.bytes(0))
  }

  /// Keeps an extent that nothing names, or adds what was found of it; its `found` is set by the
  /// database. A chunk that is known to lie elsewhere stays there (`moveQuarantined`). Returns false,
  /// and keeps nothing, when something names it.
  public func quarantine(_ item: QuarantinedExtent) async throws -> Bool {
    try await mutate(cost: 512 + item.key.count) { session in
      let id = SQLValue.bytes(item.id.bytes)
      guard try await session.query(SQL.isNamed, [id]).count == 0 else { return false }
      var stores = item.stores
      if let row = try await session.query(SQL.lock, [id]).first {
        let known = try Self.item(row).stores
        for index in stores.indices where index < known.count {
          stores[index] = known[index] ?? stores[index]
        }
      }
      try await session.run(
        SQL.put,
        [
          id, .int(Int64(item.kind)), .text(item.bucket), .bytes(item.key), .text(item.version),
          .int(Int64(item.partNumber)), .int(item.size), .int(item.modified.milliseconds),
          .int(Int64(item.dataCount)), .int(Int64(item.parityCount)),
          .bytes(PlacementCodec.encode(stores.map { $0 ?? Self.nowhere })),
          .int(try await session.now().milliseconds),
        ])
      return true
    }
  }

  /// Has the record of an extent in quarantine say that a chunk lies in `store`, provided that it
  /// says `former` so far, nil for nowhere; false, and nothing is changed, when it does not.
  public func moveQuarantined(
    _ id: ExtentID, chunk: UInt8, from former: StoreID?, to store: StoreID
  ) async throws -> Bool {
    try await mutate { session in
      let key = SQLValue.bytes(id.bytes)
      guard let row = try await session.query(SQL.lock, [key]).first else { return false }
      var stores = try Self.item(row).stores
      let index = Int(chunk)
      guard stores.indices.contains(index), stores[index] == former else { return false }
      stores[index] = store
      let bytes = PlacementCodec.encode(stores.map { $0 ?? Self.nowhere })
      return try await session.run(SQL.move, [.bytes(bytes), key]) > 0
    }
  }

  /// Quarantined extents by id behind `after`.
  public func quarantined(after: ExtentID?, limit: Int) async throws -> [QuarantinedExtent] {
    try await driver.read { session in
      try await session.query(
        SQL.list, [.bytes(after?.bytes ?? []), .int(Int64(max(limit, 0)))]
      ).map { try Self.item($0) }
    }
  }

  /// The quarantined extent of that id, nil when there is none.
  public func quarantined(_ id: ExtentID) async throws -> QuarantinedExtent? {
    try await driver.read { session in
      try await session.query(SQL.find, [.bytes(id.bytes)]).first.map { try Self.item($0) }
    }
  }

  /// How many extents are quarantined.
  public func quarantineCount() async throws -> Int64 {
    try await driver.read { session in
      try await session.query(SQL.count, []).first?.int(0) ?? 0
    }
  }

  /// Forgets a quarantined extent: it was adopted, or it is to be deleted, and then its chunks
  /// become a tombstone with this.
  public func releaseFromQuarantine(_ id: ExtentID, dropping: Bool) async throws {
    let cache = placements
    let learned: [[UInt8]: Int64] = try await mutate { session in
      let key = SQLValue.bytes(id.bytes)
      guard let row = try await session.query(SQL.lock, [key]).first else {
        throw MetadataError.notFound("quarantined extent")
      }
      let item = try Self.item(row)
      try await session.run(SQL.delete, [key])
      guard dropping, try await session.query(SQL.isNamed, [key]).count == 0 else { return [:] }
      return try await Self.entomb(item, cache, session)
    }
    cache.add(learned)
  }

  /// A tombstone for the chunks that were found.
  private static func entomb(
    _ item: QuarantinedExtent, _ cache: PlacementCache, _ session: any SQLSession
  ) async throws -> [[UInt8]: Int64] {
    guard let some = item.stores.compactMap({ $0 }).first, item.stores.count <= 32 else {
      return [:]
    }
    var bits: Int64 = 0
    for (index, store) in item.stores.enumerated() where store != nil { bits |= 1 << Int64(index) }
    let stores = PlacementCodec.encode(item.stores.map { $0 ?? some })
    let placement = try await ExtentRows.placement(stores, cache: cache, session)
    let now = try await session.now().milliseconds
    try await session.run(
      SQL.entomb, [.bytes(item.id.bytes), .int(placement), .int(bits), .int(now)])
    return [stores: placement]
  }

  /// The extents of these ids that versions, parts or snapshots own.
  public func extents(named ids: [ExtentID]) async throws -> [Extent] {
    try await driver.read { session in
      try await session.snapshot()
      var result: [Extent] = []
      for id in ids {
        if let row = try await session.query(SQL.extent, [.bytes(id.bytes)]).first {
          result.append(try ExtentRows.extent(row))
        }
      }
      return result
    }
  }

  /// The epochs of writers that may still commit.
  public func liveEpochs() async throws -> Set<UInt64> {
    try await driver.read { session in
      Set(try await session.query(SQL.live, []).map { UInt64(try $0.small(0)) })
    }
  }
}
