import Base

/// Writes and reads rows of `extents` and `placements`.
enum ExtentRows {
  /// The columns that `extent` reads, of tables named `e` and `p`.
  static let columns = """
    e.id, e.data_count, e.parity_count, e.plaintext_length, e.transform, e.wrapped_key, p.stores,
    e.generation, e.digests, e.missing
    """

  private static let insertExtent = SQLStatement(
    """
    INSERT INTO extents(
      id, placement_id, data_count, parity_count, plaintext_length, transform, wrapped_key, digests,
      generation, missing, spread)
    VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    """)
  private static let findPlacement = SQLStatement("SELECT id FROM placements WHERE stores = $1")
  private static let insertPlacement = SQLStatement(
    "INSERT INTO placements(stores) VALUES($1) ON CONFLICT DO NOTHING RETURNING id")
  private static let queue = SQLStatement(
    """
    INSERT INTO repair_queue(extent, chunks, survivors, reason, queued_ms)
    VALUES($1, $2, $3, $4, $5)
    """)
  private static let link = SQLStatement(
    """
    INSERT INTO version_extents(version, start, ordinal, length, part_number, extent)
    VALUES($1, $2, $3, $4, $5, $6)
    """)

  /// Inserts an extent, its placement if it is new, and a repair item for what is missing. Returns
  /// the placement's number by its stores.
  static func insert(
    _ extent: Extent, cache: PlacementCache, now: Timestamp, _ session: any SQLSession
  ) async throws -> [[UInt8]: Int64] {
    let stores = PlacementCodec.encode(extent.stores)
    let placement = try await placement(stores, cache: cache, session)
    var digests: [UInt8] = []
    digests.reserveCapacity(SHA256Digest.byteCount * extent.digests.count)
    for digest in extent.digests { digests += digest.bytes }
    try await session.execute(
      insertExtent,
      [
        .bytes(extent.id.bytes), .int(placement), .int(Int64(extent.dataCount)),
        .int(Int64(extent.parityCount)), .int(extent.plaintextLength),
        .int(Int64(extent.transform)), .bytes(extent.wrappedKey), .bytes(digests),
        .int(extent.generation), .int(Int64(extent.missing)),
        spread(extent.stores, extent.awaitsSpread),
      ])
    if extent.missing != 0 {
      let survivors = extent.stores.count - extent.missing.nonzeroBitCount
      try await session.execute(
        queue,
        [
          .bytes(extent.id.bytes), .int(Int64(extent.missing)), .int(Int64(survivors)),
          .text("not written"), .int(now.milliseconds),
        ])
    }
    return [stores: placement]
  }

  /// The value of the column `spread`: whether a store holds two of the chunks, or they are to be
  /// spread wider all the same.
  static func spread(_ stores: [StoreID], _ awaitsSpread: Bool) -> SQLValue {
    .int(awaitsSpread || Set(stores).count < stores.count ? 1 : 0)
  }

  /// The number of a placement, which is made when it is new.
  static func placement(
    _ stores: [UInt8], cache: PlacementCache, _ session: any SQLSession
  ) async throws -> Int64 {
    if let number = cache.number(of: stores) { return number }
    if let row = try await session.query(findPlacement, [.bytes(stores)]).first {
      return try row.int(0)
    }
    if let row = try await session.query(insertPlacement, [.bytes(stores)]).first {
      return try row.int(0)
    }
    guard let row = try await session.query(findPlacement, [.bytes(stores)]).first else {
      throw MetadataError.unavailable("a placement that is neither new nor there")
    }
    return try row.int(0)
  }

  /// Links extents to a version, one behind the other.
  static func linkAll(
    _ extents: [Extent], to version: Int64, _ session: any SQLSession
  ) async throws {
    var start: Int64 = 0
    for (ordinal, extent) in extents.enumerated() {
      try await session.execute(
        link,
        [
          .int(version), .int(start), .int(Int64(ordinal)), .int(extent.plaintextLength),
          .int(0), .bytes(extent.id.bytes),
        ])
      start &+= extent.plaintextLength
    }
  }

  /// Reads the columns named by `columns`, from column `first` on.
  static func extent(_ row: SQLRow, at first: Int = 0) throws -> Extent {
    let digestBytes = try row.bytes(first + 8)
    var digests: [SHA256Digest] = []
    digests.reserveCapacity(digestBytes.count / SHA256Digest.byteCount)
    for start in stride(from: 0, to: digestBytes.count, by: SHA256Digest.byteCount) {
      let end = min(start + SHA256Digest.byteCount, digestBytes.count)
      guard let digest = SHA256Digest(digestBytes[start..<end]) else {
        throw SQLRow.corrupt(first + 8)
      }
      digests.append(digest)
    }
    guard let transform = UInt8(exactly: try row.int(first + 4)),
      let missing = UInt32(exactly: try row.int(first + 9))
    else { throw SQLRow.corrupt(first + 4) }
    return Extent(
      id: try row.id(first), dataCount: try row.small(first + 1),
      parityCount: try row.small(first + 2), plaintextLength: try row.int(first + 3),
      transform: transform, wrappedKey: try row.bytes(first + 5),
      stores: try PlacementCodec.decode(try row.bytes(first + 6)),
      generation: try row.int(first + 7), digests: digests, missing: missing)
  }
}
