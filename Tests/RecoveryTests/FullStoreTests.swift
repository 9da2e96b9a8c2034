import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Testing

@testable import Recovery

@Suite("Change log and full stores")
struct FullStoreTests {
  private func stores(of fixture: RecoveryFixture) -> ([FlakyStore], StoreSet) {
    let stores = fixture.stores.map { FlakyStore($0) }
    let nodes = stores.enumerated().map { PlacementNode(id: $1.id, server: "server-\($0)") }
    return (stores, StoreSet(stores: stores, ring: PlacementRing(nodes: nodes, width: 6)))
  }

  /// Full stores are known as such from the start, or found out by the writes that they refuse.
  @Test("with every store full, puts are refused, deletes succeed and are logged, and puts go on")
  func everyStore() async throws {
    let fixture = try RecoveryFixture(seed: 81)
    let (stores, set) = stores(of: fixture)
    let node = try await fixture.open("original", stores: set)
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("full")
    let contents = ["inline": 1000, "large": 300_000, "kept": 200_000]
    for (key, size) in contents {
      try await node.put(key, Array(repeating: 7, count: size), in: bucket)
    }
    for store in stores { store.fault = .full }
    await set.refresh()
    for size in [1000, 40_000, 300_000] {
      await #expect(throws: EngineError.storesFull) {
        try await node.put("more", Array(repeating: 8, count: size), in: bucket)
      }
    }
    for key in ["inline", "large"] {
      _ = try await node.engine.delete(bucket: bucket.id, key: Array(key.utf8))
      #expect(try await node.read(key, in: bucket) == nil)
    }
    #expect(node.recovery.logStatus.lastCopies == 3)
    #expect(node.recovery.logStatus.failedGroups == 0)
    // The log has the deletes, whatever is lost besides.
    let (database, _) = try await fixture.rebuild("rebuilt", losing: [1, 4])
    #expect(try await differences(node.store, database.store) == [])
    await database.close()
    for store in stores { store.fault = .none }
    await set.refresh()
    for size in [1000, 40_000, 300_000] {
      let content = [UInt8](repeating: 9, count: size)
      try await node.put("again", content, in: bucket)
      #expect(try await node.read("again", in: bucket) == content)
    }
    #expect(try await node.read("kept", in: bucket)?.count == 200_000)
    await node.close()
    await fixture.close()
  }

  @Test(
    "stores that have filled up unnoticed are found out by a put, and take deletes all the same")
  func unnoticed() async throws {
    let fixture = try RecoveryFixture(seed: 82)
    let (stores, set) = stores(of: fixture)
    let node = try await fixture.open("original", stores: set)
    let bucket = try await node.bucket("full")
    try await node.put("key", Array(repeating: 7, count: 300_000), in: bucket)
    for store in stores { store.fault = .full }
    await #expect(throws: EngineError.storesFull) {
      try await node.put("more", Array(repeating: 8, count: 300_000), in: bucket)
    }
    _ = try await node.engine.delete(bucket: bucket.id, key: Array("key".utf8))
    #expect(try await node.read("key", in: bucket) == nil)
    #expect(node.recovery.logStatus.lastCopies == 3)
    await node.close()
    await fixture.close()
  }

  @Test("the log goes to stores with room before it goes into a reserve")
  func someStores() async throws {
    let fixture = try RecoveryFixture(seed: 83)
    let (stores, set) = stores(of: fixture)
    for store in stores.prefix(4) { store.fault = .full }
    await set.refresh()
    var configuration = RecoveryConfiguration()
    configuration.changeLog = .on
    let ranked = LogStores(stores: set, configuration: configuration)
      .ranked(preferring: [stores[0].id], key: ExtentID(epoch: 1, random: (0, 1)))
    #expect(Set(ranked.prefix(2)) == Set(stores.suffix(2).map(\.id)))
    #expect(ranked.count == 6 && ranked[2] == stores[0].id)
    await fixture.close()
  }
}
