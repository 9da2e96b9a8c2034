import Base
import ChunkStore
import Metadata
import MetadataSQLite
import ObjectEngine
import Runtime
import Testing

@testable import Recovery

@Suite("Quarantine and reconciliation")
struct ReconcileTests {
  @Test("What only chunks know is quarantined, adopted by an operator or dropped")
  func quarantine() async throws {
    let fixture = try RecoveryFixture(seed: 31)
    let node = try await fixture.open("original")
    let bucket = try await node.bucket("bucket")
    let taken = fixture.random.bytes(30_000)
    try await node.put("taken", taken, in: bucket)
    _ = try await node.recovery.makeSnapshot()
    let content = fixture.random.bytes(300_000)
    try await node.orphan("lost", content)
    try await node.orphan("other", fixture.random.bytes(20_000))
    try await node.orphan("taken", fixture.random.bytes(20_000))
    await node.close()

    let (database, report) = try await fixture.rebuild("rebuilt", losing: [1, 2])
    #expect(report.reconciliation.quarantined == 3)
    await database.close()
    let again = try await fixture.open("rebuilt", stores: fixture.storeSet(losing: [1, 2]))
    let items = try await again.recovery.quarantined(after: nil, limit: 10)
    let byKey = Dictionary(
      uniqueKeysWithValues: items.map { (String(decoding: $0.key, as: UTF8.self), $0) })
    #expect(Set(byKey.keys) == ["lost", "other", "taken"])
    #expect(try await again.read("lost", in: bucket) == nil)

    let lost = try #require(byKey["lost"])
    let made = try await again.recovery.adopt(lost.id)
    #expect(made.key == Array("lost".utf8))
    #expect(try await again.read("lost", in: bucket) == content)
    let clash = try #require(byKey["taken"])
    await #expect(throws: AdoptionError.isTaken) { _ = try await again.recovery.adopt(clash.id) }
    #expect(try await again.read("taken", in: bucket) == taken)
    let other = try #require(byKey["other"])
    try await again.recovery.drop(other.id)
    await #expect(throws: MetadataError.notFound("quarantined extent")) {
      try await again.recovery.drop(other.id)
    }
    #expect(try await again.store.quarantineCount() == 1)
    let dead = try await again.store.tombstones(
      before: fixture.clock.now.advanced(byMilliseconds: 1_000_000), limit: 10)
    _ = try await again.recovery.stepLog()
    #expect(dead.count <= 2)
    await again.close()
    await fixture.close()
  }

  @Test("After a restore of an older copy, newer chunks are kept and moved ones are found")
  func olderCopy() async throws {
    let fixture = try RecoveryFixture(seed: 32, storeCount: 7)
    let node = try await fixture.open("original", changeLog: .off)
    let bucket = try await node.bucket("bucket")
    let content = fixture.random.bytes(300_000)
    try await node.put("before", content, in: bucket)
    try await node.store.backup(to: fixture.directory.path + "/copy.sqlite")

    try await node.put("after", fixture.random.bytes(40_000), in: bucket)
    // A chunk moves to the store that has none of the extent.
    let extent = try #require(
      try await node.store.extents(after: nil, limit: 10).first { $0.plaintextLength > 200_000 })
    let free = try #require(fixture.stores.first { !extent.stores.contains($0.id) })
    let from = try #require(fixture.stores.first { $0.id == extent.stores[2] })
    let chunk = ChunkID(extent: extent.id, index: 2)
    try await withTaskExecutorPreference(RecoveryFixture.pool) {
      let reader = try await from.openChunk(chunk)
      let status = try await from.stat(chunk)
      let buffer = AlignedBuffer(count: reader.trailer.dataLength)
      try await reader.read(0..<reader.trailer.dataLength, into: buffer, at: 0)
      reader.close()
      try await free.putSmall(
        status.header, data: buffer, range: 0..<status.trailer.dataLength, trailer: status.trailer)
      try await from.delete([chunk])
      // Another is simply gone.
      try await fixture.stores.first { $0.id == extent.stores[4] }?
        .delete([ChunkID(extent: extent.id, index: 4)])
    }
    await node.close()

    let old = try await fixture.openDatabase("copy")
    try await old.store.setSetting("hold_sweep", [1])
    let restored = try await fixture.node(
      over: old.store, database: old, stores: fixture.storeSet(), changeLog: .off,
      minimumEpoch: node.engine.writer.epoch)
    let report = try await restored.recovery.reconcile()
    #expect(report.moved == 1)
    #expect(report.missing == 1)
    #expect(report.quarantined == 1)
    #expect(report.isComplete)
    let now = try #require(try await restored.store.extents(named: [extent.id]).first)
    #expect(now.stores[2] == free.id)
    #expect(try await restored.store.repairs(limit: 10).map(\.chunks) == [1 << 4])
    #expect(try await restored.store.setting("hold_sweep") == [0])
    #expect(try await restored.store.unsweptEpochs().isEmpty)
    #expect(try await restored.read("before", in: bucket) == content)
    let item = try #require(
      try await restored.recovery.quarantined(after: nil, limit: 10).first)
    #expect(item.key == Array("after".utf8))
    // Again, and nothing changes.
    let second = try await restored.recovery.reconcile()
    #expect(second.moved == 0)
    await restored.close()
    await fixture.close()
  }

  @Test("While a store is away, the hold on the sweep stays")
  func absentStore() async throws {
    let fixture = try RecoveryFixture(seed: 33)
    let node = try await fixture.open(
      "original", stores: fixture.storeSet(losing: [0]), changeLog: .off)
    try await node.store.setSetting("hold_sweep", [1])
    let report = try await node.recovery.reconcile()
    #expect(report.absentStores == 1)
    #expect(try await node.store.setting("hold_sweep") == [1])
    await node.close()
    await fixture.close()
  }
}
