import Base
import ChunkStore
import Cluster
import Metadata
import MetadataSQLite
import ObjectEngine
import Runtime
import Sealing
import TestSupport
import Testing

@testable import Recovery

@Suite("Snapshots of the metadata in the stores")
struct SnapshotTests {
  private func fill(_ node: RecoveryNode) async throws -> [String: [UInt8]] {
    var content: [String: [UInt8]] = [:]
    let bucket = try await node.bucket("first")
    let user = try await node.store.createUser(
      name: "ada", tenant: 1, email: "ada@example.org", role: .user)
    _ = try await node.store.createAccessKey(
      AccessKey(
        id: "AKADA", user: user.id, sealedSecret: [1, 2, 3], bearerDigest: [4], note: "",
        isRevoked: false, expires: nil, created: Timestamp(milliseconds: 0)))
    for (index, size) in [0, 100, 16_384, 20_000, 300_000, 1_500_000].enumerated() {
      let bytes = node.fixture.random.bytes(size)
      try await node.put("object-\(index)", bytes, in: bucket)
      content["object-\(index)"] = bytes
    }
    return content
  }

  private func check(
    _ content: [String: [UInt8]], _ node: RecoveryNode
  ) async throws {
    let bucket = try await node.bucket("first")
    for (key, bytes) in content {
      let found = try await node.read(key, in: bucket)
      #expect(found == bytes, "\(key)")
    }
  }

  @Test(
    "A database is made again from a snapshot, with any two stores lost",
    arguments: [
      [], [0, 1], [2, 5], [3, 4],
    ])
  func rebuildFromSnapshot(lost: Set<Int>) async throws {
    let fixture = try RecoveryFixture(seed: 11)
    let node = try await fixture.open("original", changeLog: .off)
    let content = try await fill(node)
    let snapshot = try await node.recovery.makeSnapshot()
    #expect(snapshot.isComplete)
    let (database, report) = try await fixture.rebuild("rebuilt", losing: lost)
    #expect(report.snapshot == snapshot.number)
    #expect(report.reconciliation.quarantined == 0)
    let found = try await differences(
      node.store, database.store, except: lost.isEmpty ? [] : ["extents"])
    #expect(found == [])
    await database.close()
    let again = try await fixture.open("rebuilt", stores: fixture.storeSet(losing: lost))
    try await check(content, again)
    #expect(again.engine.writer.epoch > node.engine.writer.epoch)
    await again.close()
    await node.close()
    await fixture.close()
  }

  @Test("Another master key opens nothing")
  func wrongMasterKey() async throws {
    let fixture = try RecoveryFixture(seed: 12)
    let node = try await fixture.open("original", changeLog: .off)
    _ = try await node.recovery.makeSnapshot()
    await #expect(throws: RebuildError.wrongMasterKey) {
      _ = try await fixture.rebuild("rebuilt", master: MasterKey(random: fixture.random.bytes))
    }
    await node.close()
    await fixture.close()
  }

  @Test("A database that holds something is not rebuilt over")
  func occupiedTarget() async throws {
    let fixture = try RecoveryFixture(seed: 13)
    let node = try await fixture.open("original", changeLog: .off)
    _ = try await node.bucket("first")
    _ = try await node.recovery.makeSnapshot()
    let other = try await fixture.openDatabase("rebuilt")
    _ = try await other.store.createUser(name: "eve", tenant: 1, email: nil, role: .user)
    await other.close()
    await #expect(throws: MetadataError.alreadyExists("metadata")) {
      _ = try await fixture.rebuild("rebuilt")
    }
    await node.close()
    await fixture.close()
  }

  /// Deletes chunks of the parts of a snapshot, whatever stores they lie in.
  private func lose(
    _ chunks: Range<UInt8>, of snapshot: StoredSnapshot, _ fixture: RecoveryFixture
  ) async throws {
    for extent in snapshot.extents {
      for store in fixture.stores {
        for index in chunks {
          let chunk = ChunkID(extent: extent, index: index)
          try await withTaskExecutorPreference(RecoveryFixture.pool) {
            try await store.delete([chunk])
          }
        }
      }
    }
  }

  @Test("Chunks that a snapshot lacks are made again behind a rebuild")
  func chunksOfSnapshots() async throws {
    let fixture = try RecoveryFixture(seed: 15)
    let node = try await fixture.open("original", changeLog: .off)
    _ = try await fill(node)
    let older = try await node.recovery.makeSnapshot()
    let newer = try await node.recovery.makeSnapshot()
    await node.close()
    try await lose(1..<2, of: older, fixture)
    try await lose(0..<1, of: newer, fixture)
    try await lose(5..<6, of: newer, fixture)
    let (database, report) = try await fixture.rebuild("rebuilt")
    #expect(report.snapshot == newer.number)
    #expect(try await database.store.snapshots().filter(\.isComplete).count == 2)
    await database.close()
    let again = try await fixture.open("rebuilt")
    let repairer = ExtentRepairer(engine: again.engine, log: .none)
    let items = try await again.store.repairs(limit: 1000)
    #expect(items.count == older.extents.count + newer.extents.count)
    for item in items {
      let outcome = try await withTaskExecutorPreference(RecoveryFixture.pool) {
        try await repairer.repair(item.extent.id, chunks: item.chunks)
      }
      #expect(outcome == .repaired(chunks: item.chunks))
    }
    #expect(try await again.store.counts().repairs == 0)
    await again.close()
    await fixture.close()
  }

  @Test("Of a snapshot that was being deleted a rebuild makes no rows")
  func remainsOfSnapshots() async throws {
    let fixture = try RecoveryFixture(seed: 16)
    let node = try await fixture.open("original", changeLog: .off)
    _ = try await fill(node)
    let older = try await node.recovery.makeSnapshot()
    let newer = try await node.recovery.makeSnapshot()
    await node.close()
    try await lose(0..<3, of: older, fixture)
    let (database, _) = try await fixture.rebuild("rebuilt")
    #expect(try await database.store.snapshots().map(\.number) == [newer.number])
    #expect(try await database.store.extents(named: older.extents).isEmpty)
    #expect(try await database.store.counts().repairs == 0)
    let dead = try await database.store.tombstones(
      before: fixture.clock.now.advanced(byMilliseconds: 1), limit: 1000)
    #expect(Set(dead.map(\.extent)).isSuperset(of: older.extents))
    await database.close()
    let again = try await fixture.open("rebuilt")
    let next = try await again.recovery.makeSnapshot()
    #expect(next.number > newer.number)
    await again.close()
    await fixture.close()
  }

  @Test("Two snapshots are kept, and older ones become tombstones")
  func oldSnapshots() async throws {
    let fixture = try RecoveryFixture(seed: 14)
    let node = try await fixture.open("original")
    for _ in 0..<4 {
      _ = try await fill2(node)
      _ = try await node.recovery.makeSnapshot()
    }
    let left = try await node.store.snapshots()
    #expect(left.map(\.number) == [3, 4])
    #expect(left.filter(\.isComplete).count == 2)
    let parts = left.flatMap(\.extents)
    let named = try await node.store.extents(named: parts)
    #expect(named.count == parts.count)
    await node.close()
    await fixture.close()
  }

  private func fill2(_ node: RecoveryNode) async throws {
    let bucket = try await node.bucket("more")
    try await node.put("a", node.fixture.random.bytes(200), in: bucket)
  }
}
