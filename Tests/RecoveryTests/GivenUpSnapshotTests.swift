import Base
import ChunkStore
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import TestSupport
import Testing

@testable import Recovery

@Suite("Snapshots that are given up in the middle")
struct GivenUpSnapshotTests {
  /// A part that is durable and that no row names.
  @discardableResult
  private func part(
    _ node: RecoveryNode, of snapshot: UInt32, random: UInt32
  ) async throws -> Extent {
    let label = SnapshotPartLabel(
      log: [], floor: 0, part: 0, isLast: true, started: node.fixture.clock.now)
    return try await node.engine.writeExtent(
      SystemExtentID.snapshot(number: snapshot, part: 0).id(random: random),
      from: ArraySource(node.fixture.random.bytes(5000))
    ) { size in
      ExtentDescriptor(
        kind: .snapshot, bucketID: 0, bucketName: "", key: label.encoded, tenantID: 0, ownerID: 0,
        sequence: Int(snapshot), lastModified: node.fixture.clock.now, byteCount: Int(size))
    }
  }

  @Test("The number of a snapshot that was given up is not used again")
  func numbers() async throws {
    let fixture = try RecoveryFixture(seed: 61)
    let node = try await fixture.open("original", changeLog: .off)
    let first = try await node.store.beginSnapshot(minimum: 0, log: [], floor: 0)
    let extent = try await part(node, of: first.number, random: 1)
    try await node.store.addSnapshotPart(extent, to: first.number, isLast: false)
    try await node.store.giveUpSnapshot(first.number)
    // Its parts are tombstones, and it gets no more.
    #expect(try await node.store.extents(named: [extent.id]).isEmpty)
    let late = try await part(node, of: first.number, random: 2)
    await #expect(throws: MetadataError.notFound("snapshot")) {
      try await node.store.addSnapshotPart(late, to: first.number, isLast: true)
    }
    for expected in first.number + 1...first.number + 3 {
      let next = try await node.store.beginSnapshot(minimum: 0, log: [], floor: 0)
      #expect(next.number == expected)
      try await node.store.giveUpSnapshot(next.number)
    }
    // One row suffices to remember it.
    #expect(try await node.store.snapshots().map(\.number) == [first.number + 3])
    let made = try await node.recovery.makeSnapshot()
    #expect(made.number == first.number + 4)
    #expect(try await node.store.snapshots().map(\.number) == [made.number])
    await #expect(throws: MetadataError.notFound("snapshot")) {
      try await node.store.addSnapshotPart(late, to: made.number, isLast: true)
    }
    await node.close()
    await fixture.close()
  }

  @Test("Of several beginnings under one number, a rebuild takes the one that is whole")
  func sharedNumber() async throws {
    let fixture = try RecoveryFixture(seed: 62)
    let node = try await fixture.open("original", changeLog: .off)
    let bucket = try await node.bucket("bucket")
    let content = fixture.random.bytes(40_000)
    try await node.put("key", content, in: bucket)
    let made = try await node.recovery.makeSnapshot()
    for number in UInt32(1)...8 {
      fixture.clock.advance(seconds: 1)
      let extent = try await part(node, of: made.number, random: number)
      try await withTaskExecutorPreference(RecoveryFixture.pool) {
        for index in [0, 1, 4] {
          try await fixture.stores.first { $0.id == extent.stores[index] }?
            .delete([ChunkID(extent: extent.id, index: UInt8(index))])
        }
      }
    }
    let (database, report) = try await fixture.rebuild("rebuilt")
    #expect(report.snapshot == made.number)
    await database.close()
    let again = try await fixture.open("rebuilt", changeLog: .off)
    #expect(try await again.read("key", in: bucket) == content)
    await again.close()
    await node.close()
    await fixture.close()
  }

  @Test("What a process could not give up at once it gives up later, and nothing that it makes")
  func later() async throws {
    let fixture = try RecoveryFixture(seed: 63)
    let held = fixture.stores.map { HoldingStore($0) }
    let nodes = fixture.storeIDs.enumerated().map { PlacementNode(id: $1, server: "server-\($0)") }
    let set = StoreSet(stores: held, ring: PlacementRing(nodes: nodes, width: 6))
    let node = try await fixture.open("original", stores: set, changeLog: .off)
    let left = try await node.store.beginSnapshot(minimum: 0, log: [], floor: 0)
    #expect(left.maker == node.engine.writer.epoch)
    for store in held { store.hold() }
    async let made = node.recovery.makeSnapshot()
    try await eventually { held.contains { $0.waiting > 0 } }
    // A drain is to wait for what is placed by now and has no row yet.
    #expect(node.engine.writes.oldest != nil)
    let chunk = ChunkID(
      extent: SystemExtentID.snapshot(number: left.number + 1, part: 0).id(random: 1), index: 0)
    #expect(try await node.store.standings(of: [chunk.extent]) == [chunk.extent: .unknown])
    // While one is made, nothing is given up.
    fixture.clock.advance(seconds: 120)
    _ = try await node.recovery.stepLog()
    #expect(try await node.store.snapshots().allSatisfy { !$0.isGivenUp })
    for store in held { store.release() }
    let number = try await made.number
    #expect(node.engine.writes.oldest == nil)
    // Which removes those before it; another one is left then.
    let second = try await node.store.beginSnapshot(minimum: 0, log: [], floor: 0)
    fixture.clock.advance(seconds: 120)
    _ = try await node.recovery.stepLog()
    let rows = try await node.store.snapshots()
    #expect(rows.map(\.number) == [number, second.number])
    #expect(rows.map(\.isGivenUp) == [false, true])
    let old = SystemExtentID.snapshot(number: second.number, part: 0).id(random: 1)
    #expect(try await node.store.standings(of: [old]) == [old: .abandoned])
    await node.close()
    await fixture.close()
  }

  @Test("What is in quarantine and was moved is adopted and dropped from where it lies by now")
  func movedQuarantine() async throws {
    let fixture = try RecoveryFixture(seed: 64, storeCount: 7)
    let node = try await fixture.open("original", changeLog: .off)
    let bucket = try await node.bucket("bucket")
    let content = fixture.random.bytes(300_000)
    let extent = try await node.engine.writeExtent(
      ExtentID(epoch: node.engine.writer.epoch + 5, random: (1, 1)), from: ArraySource(content)
    ) { size in
      ExtentDescriptor(
        kind: .object, bucketID: Int(bucket.id.number), bucketName: bucket.name,
        key: Array("lost".utf8), tenantID: 1, ownerID: 1, sequence: 0,
        lastModified: fixture.clock.now, byteCount: Int(size))
    }
    await node.close()
    let database = try await fixture.openDatabase("original")
    let second = try await fixture.node(
      over: database.store, database: database, stores: fixture.storeSet(), changeLog: .off,
      minimumEpoch: extent.id.epoch)
    #expect(try await second.recovery.reconcile().quarantined == 1)
    let item = try #require(try await second.store.quarantined(extent.id))
    #expect(item.stores == extent.stores.map { $0 })
    // Two copies of a chunk, as after a kill between copy and record: a reconciliation leaves the
    // record as it is, whichever of them it meets last.
    let chunk = ChunkID(extent: extent.id, index: 2)
    let source = try #require(fixture.stores.first { $0.id == extent.stores[2] })
    let free = try #require(fixture.stores.first { !extent.stores.contains($0.id) })
    try await withTaskExecutorPreference(RecoveryFixture.pool) {
      let found = try await second.engine.readSmall(chunk, from: source)
      try await free.putSmall(
        found.status.header, data: found.data, range: 0..<found.status.trailer.dataLength,
        trailer: found.status.trailer)
    }
    _ = try await second.recovery.reconcile()
    #expect(try await second.store.quarantined(extent.id)?.stores == item.stores)
    #expect(
      try await second.store.moveQuarantined(
        extent.id, chunk: 2, from: source.id, to: free.id))
    _ = try await second.recovery.reconcile()
    #expect(try await second.store.quarantined(extent.id)?.stores[2] == free.id)
    try await withTaskExecutorPreference(RecoveryFixture.pool) { try await source.delete([chunk]) }
    // Nor does it name a store any more that has lost what it held, if another one has it.
    #expect(
      try await second.store.moveQuarantined(
        extent.id, chunk: 2, from: free.id, to: source.id))
    _ = try await second.recovery.reconcile()
    #expect(try await second.store.quarantined(extent.id)?.stores[2] == free.id)
    // Of the others only as many are left as are needed, with the one that has moved.
    try await withTaskExecutorPreference(RecoveryFixture.pool) {
      for index in [0, 5] {
        try await fixture.stores.first { $0.id == extent.stores[index] }?
          .delete([ChunkID(extent: extent.id, index: UInt8(index))])
      }
    }
    _ = try await second.recovery.adopt(extent.id)
    #expect(try await second.read("lost", in: bucket) == content)
    let dead = try await second.store.tombstones(
      before: fixture.clock.now.advanced(byMilliseconds: 1_000_000), limit: 10)
    #expect(dead.first { $0.extent == extent.id }?.stores[2] == free.id)
    await second.close()
    await fixture.close()
  }
}
