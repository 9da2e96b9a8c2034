import Base
import ChunkStore
import Metadata
import Runtime
import Sealing
import Testing

@testable import Recovery

/// Bytes of `docs/format.md`, written down here by hand: they do not change.
@Suite("Formats of recovery")
struct FormatTests {
  private let record = ChangeRecord(
    number: 0x0102,
    changes: [
      RowChange(
        table: 14, isDelete: false,
        values: [.bytes([0xaa, 0xbb]), .int(-1), .int(7), .bytes([0xcc])]),
      RowChange(table: 1, isDelete: true, values: [.text("né")]),
      RowChange(table: 9, isDelete: false, values: [.null, .text("")]),
    ])

  private let recordBytes = """
    0201000000000000 03 \
    0e 01 04 03 02 aabb 01 ffffffffffffffff 01 0700000000000000 03 01 cc \
    01 02 01 02 03 6ec3a9 \
    09 01 02 00 02 00
    """

  private func bytes(_ hex: String) throws -> [UInt8] {
    try #require(Hex.decode(hex.filter { !$0.isWhitespace }))
  }

  @Test("A record of the change log has these bytes")
  func changeRecord() throws {
    var writer = ByteWriter()
    record.encode(to: &writer)
    let expected = try bytes(recordBytes)
    #expect(writer.bytes == expected)
    var reader = ByteReader(expected)
    #expect(try ChangeRecord(from: &reader) == record)
    #expect(reader.isAtEnd)
  }

  @Test("A piece of the change log has these bytes")
  func logPiece() throws {
    let log = [UInt8](0xa0..<0xb0)
    let pieces = LogPiece.pieces(of: [record], log: log, group: 0x1122, limit: 131_040)
    let piece = try #require(pieces.first)
    #expect(pieces.count == 1)
    let expected = try bytes(
      "01 00 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 2211000000000000 00 01 33 " + recordBytes)
    #expect(piece.encoded == expected)
    #expect(try LogPiece(decoding: expected) == piece)
  }

  @Test("Items of a snapshot have these bytes")
  func snapshotItems() throws {
    let cluster = try #require(ClusterID(bytes: Array(0..<16)))
    let items: [(SnapshotItem, String)] = [
      (
        .header(
          SnapshotHeader(
            cluster: cluster, log: [9, 8], floor: 5, created: Timestamp(milliseconds: 256),
            schema: 2)),
        """
        01 01000000 000102030405060708090a0b0c0d0e0f 020908 0500000000000000 0001000000000000 02
        """
      ),
      (.rows(table: 1, [[.text("a"), .bytes([])]]), "02 01 01 02 02 01 61 03 00"),
      (
        .mark(number: 3, [RowChange(table: 7, isDelete: true, values: [.int(1)])]),
        "03 0300000000000000 01 07 01 01 0100000000000000"
      ),
      (.end(rows: 300), "04 ac02"),
    ]
    for (item, hex) in items {
      var writer = ByteWriter()
      item.encode(to: &writer)
      let expected = try bytes(hex)
      #expect(writer.bytes == expected)
      var reader = ByteReader(expected)
      #expect(try SnapshotItem(from: &reader) == item)
    }
  }

  @Test("The label of a part and the record of keys have these bytes")
  func labelsAndKeys() throws {
    let label = SnapshotPartLabel(
      log: [1], floor: 2, part: 3, isLast: true, started: Timestamp(milliseconds: 4))
    let labelBytes = try bytes("0101 0200000000000000 03 01 0400000000000000")
    #expect(label.encoded == labelBytes)
    #expect(try SnapshotPartLabel(decoding: labelBytes) == label)

    let cluster = try #require(ClusterID(bytes: Array(0..<16)))
    let keys = KeyRecord(
      cluster: cluster,
      keys: [
        StoredEncryptionKey(
          number: 1, wrapped: [UInt8](repeating: 0x11, count: 60), masterCheck: [5, 6],
          created: Timestamp(milliseconds: 7))
      ])
    let keyBytes = try bytes(
      "53334b4559533031 000102030405060708090a0b0c0d0e0f 01 01000000 "
        + String(repeating: "11", count: 60) + "02 0506 0700000000000000"
        + String(repeating: "00", count: 28))
    #expect(keys.encoded == keyBytes)
    #expect(try KeyRecord(decoding: keyBytes) == keys)
  }

  @Test("Ids of the system's extents tell what they are")
  func ids() {
    let snapshot = SystemExtentID.snapshot(number: 0x0102_0304, part: 0x0506)
    #expect(
      snapshot.id(random: 0x0708_090a).description == "80000000000101020304" + "0506" + "0708090a")
    #expect(SystemExtentID(snapshot.id(random: 1)) == snapshot)
    let piece = SystemExtentID.changeLog(last: 0x0102_0304_0506)
    #expect(piece.id(random: 0x0708_090a).description == "800000000002010203040506" + "0708090a")
    #expect(SystemExtentID(piece.id(random: 1)) == piece)
    #expect(
      SystemExtentID.keys.id(random: 3).description == "80000000000300000000000000000000")
    #expect(SystemExtentID(ExtentID(high: 1 << 16, low: 0)) == nil)
    #expect(!SystemExtentID.isReserved(ExtentID(high: 1 << 16, low: 0)))
    #expect(SystemExtentID.isReserved(snapshot.id(random: 0)))
  }

  @Test("Any bytes are refused or decode, and never trap", arguments: 0..<200)
  func anyBytes(seed: UInt64) throws {
    let random = SeededRandom(seed: seed)
    var sample = try bytes(recordBytes)
    for _ in 0..<1 + random.next() % 4 {
      sample[Int(random.next() % UInt64(sample.count))] = UInt8(truncatingIfNeeded: random.next())
    }
    if random.next() % 2 == 0 { sample.removeLast(Int(random.next() % UInt64(sample.count))) }
    var reader = ByteReader(sample)
    _ = try? ChangeRecord(from: &reader)
    _ = try? LogPiece(decoding: sample)
    _ = try? LogPiece.records(of: sample, isCompressed: true, length: sample.count)
    _ = try? KeyRecord(decoding: sample)
    _ = try? SnapshotPartLabel(decoding: sample)
    var items = ByteReader([UInt8(random.next() % 6)] + sample)
    _ = try? SnapshotItem(from: &items)
    var frames = SnapshotFrameReader()
    _ = try? frames.add(sample)
  }
}

@Suite("Damaged logs")
struct DamageTests {
  /// Puts something else in the place of a chunk.
  private func damage(_ id: ExtentID, at store: LocalChunkStore) async throws {
    try await withTaskExecutorPreference(RecoveryFixture.pool) {
      let chunk = ChunkID(extent: id, index: 0)
      let status = try await store.stat(chunk)
      let length = status.trailer.dataLength
      let buffer = AlignedBuffer(count: length)
      let reader = try await store.openChunk(chunk)
      try await reader.read(0..<length, into: buffer, at: 0)
      reader.close()
      var bytes = buffer.bytes(0..<length)
      bytes[length / 2] ^= 1
      bytes[0] ^= 1
      buffer.copy(bytes)
      let digester = ChunkDigester(id: chunk)
      buffer.withBytes(0..<length) { digester.append($0) }
      try await store.putSmall(
        status.header, data: buffer, range: 0..<length,
        trailer: digester.finish(
          extentLength: status.trailer.extentLength, storedLength: status.trailer.storedLength,
          wrappedKey: status.trailer.wrappedKey, descriptor: status.trailer.descriptor))
    }
  }

  @Test("A piece that was changed is taken from another copy, or counted as lost")
  func changedPieces() async throws {
    let fixture = try RecoveryFixture(seed: 41)
    let node = try await fixture.open("original")
    let bucket = try await node.bucket("bucket")
    _ = try await node.recovery.makeSnapshot()
    try await node.put("first", [1], in: bucket)
    try await node.put("second", [2], in: bucket)
    let inventory = await withTaskExecutorPreference(RecoveryFixture.pool) {
      await StoreInventory.take(fixture.stores)
    }
    let pieces = inventory.logPieces.sorted { $0.key < $1.key }
    // All copies but one of each.
    for (id, places) in pieces {
      #expect(places.count == 3)
      for place in places.dropLast() {
        try await damage(id, at: try #require(fixture.stores.first { $0.id == place }))
      }
    }
    let report = try await fixture.expectRebuilt("rebuilt", as: node)
    #expect(report.unreadablePieces == 0)

    let last = try #require(pieces.last)
    let whole = try #require(last.value.last)
    try await damage(last.key, at: try #require(fixture.stores.first { $0.id == whole }))
    let (worse, loss) = try await fixture.rebuild("worse")
    #expect(loss.unreadablePieces == 1)
    let first = try await worse.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array("first".utf8), versionID: nil, withContent: false)
    let second = try await worse.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array("second".utf8), versionID: nil, withContent: false)
    #expect(first.version != nil)
    #expect(second.version == nil)
    await worse.close()
    await node.close()
    await fixture.close()
  }

  @Test("A record larger than a chunk is cut into fragments, and counts only when all are there")
  func fragments() async throws {
    let fixture = try RecoveryFixture(seed: 42)
    let node = try await fixture.open("original")
    _ = try await node.recovery.makeSnapshot()
    let large = fixture.random.bytes(400_000)
    try await node.store.setSetting("large", large)
    let (database, report) = try await fixture.rebuild("rebuilt")
    #expect(report.tornGroups == 0)
    #expect(try await database.store.setting("large") == large)
    await database.close()

    let inventory = await withTaskExecutorPreference(RecoveryFixture.pool) {
      await StoreInventory.take(fixture.stores)
    }
    let last = inventory.logPieces.keys.max { left, right in left.low >> 32 < right.low >> 32 }
    let (id, places) = try #require(
      inventory.logPieces.first { $0.key.low >> 32 == last.map { $0.low >> 32 } })
    for place in places {
      let store = try #require(fixture.stores.first { $0.id == place })
      try await withTaskExecutorPreference(RecoveryFixture.pool) {
        try await store.delete([ChunkID(extent: id, index: 0)])
      }
    }
    let (torn, loss) = try await fixture.rebuild("torn")
    #expect(loss.tornGroups == 1)
    #expect(try await torn.store.setting("large") == nil)
    await torn.close()
    await node.close()
    await fixture.close()
  }
}
