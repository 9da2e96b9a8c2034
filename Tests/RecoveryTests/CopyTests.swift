import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Runtime
import Testing

@testable import Recovery

@Suite("Copies of the change log")
struct CopyTests {
  private func flaky(
    _ fixture: RecoveryFixture, draining: Set<Int> = []
  ) -> ([FlakyStore], StoreSet) {
    let stores = fixture.stores.map { FlakyStore($0) }
    let nodes = stores.enumerated().map { index, store in
      PlacementNode(
        id: store.id, server: "server-\(index)",
        state: draining.contains(index) ? .draining : .active)
    }
    return (stores, StoreSet(stores: stores, ring: PlacementRing(nodes: nodes, width: 6)))
  }

  private func copies(_ fixture: RecoveryFixture) async -> [ExtentID: Int] {
    await withTaskExecutorPreference(RecoveryFixture.pool) {
      await StoreInventory.take(fixture.stores).logPieces.mapValues(\.count)
    }
  }

  @Test("With too few stores writes go on, visibly short, and the copies are made up later")
  func madeUp() async throws {
    let fixture = try RecoveryFixture(seed: 91)
    let (stores, set) = flaky(fixture)
    let node = try await fixture.open("original", stores: set)
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    #expect(node.recovery.logStatus.warning == nil)
    for store in stores.prefix(4) {
      store.fault = .refuses
      set.observe(.offline, of: store.id)
    }
    for number in 0..<5 { try await node.put("key-\(number)", [1, 2, 3], in: bucket) }
    let short = node.recovery.logStatus
    #expect(short.lastCopies == 2 && short.wantedCopies == 3 && short.availableCopies == 2)
    #expect(short.shortPieces == 5)
    #expect(short.warning?.contains("2 of 3 copies") == true)
    // Nothing can be made up yet, and nothing is forgotten.
    _ = try await node.recovery.stepLog()
    #expect(node.recovery.logStatus.shortPieces == 5)

    for store in stores.prefix(4) {
      store.fault = .none
      set.observe(.active, of: store.id)
    }
    _ = try await node.recovery.stepLog()
    #expect(node.recovery.logStatus.shortPieces == 0)
    #expect(node.recovery.logStatus.warning == nil)
    #expect(await copies(fixture).values.allSatisfy { $0 >= 3 })
    // What took the changes is lost, and the copies give them again.
    let (database, report) = try await fixture.rebuild("rebuilt", losing: [4, 5])
    #expect(report.unreadablePieces == 0)
    #expect(try await differences(node.store, database.store) == [])
    await database.close()
    await node.close()
    await fixture.close()
  }

  @Test("A store that was thought to be away is tried before a change has a copy too few")
  func doubtful() async throws {
    let fixture = try RecoveryFixture(seed: 92)
    let (stores, set) = flaky(fixture)
    let node = try await fixture.open("original", stores: set)
    let bucket = try await node.bucket("bucket")
    for store in stores.prefix(5) { set.observe(.offline, of: store.id) }
    try await node.put("key", [1], in: bucket)
    #expect(node.recovery.logStatus.lastCopies == 3)
    await node.close()
    await fixture.close()
  }

  @Test("Stores that are being emptied take the log where the others are too few")
  func draining() async throws {
    let fixture = try RecoveryFixture(seed: 93)
    let (_, set) = flaky(fixture, draining: [0, 1, 2, 3])
    let node = try await fixture.open("original", stores: set)
    _ = try await node.bucket("bucket")
    #expect(node.recovery.logStatus.lastCopies == 3)
    await node.close()
    await fixture.close()
  }

  @Test("Copies that a process which ended owed, or a store took with it, are made up by the next")
  func survey() async throws {
    let fixture = try RecoveryFixture(seed: 94)
    let (stores, set) = flaky(fixture)
    let node = try await fixture.open("original", stores: set)
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    for store in stores.prefix(5) { store.fault = .refuses }
    try await node.put("key", [1, 2, 3], in: bucket)
    #expect(node.recovery.logStatus.lastCopies == 1)
    await node.database.close()
    for store in stores { store.fault = .none }
    let (_, whole) = flaky(fixture)
    let next = try await fixture.open("original", stores: whole)
    _ = try await next.recovery.stepSnapshots()
    _ = try await next.recovery.stepLog()
    #expect(await copies(fixture).values.allSatisfy { $0 >= 3 })

    // A store that stays away is made up for after a while.
    whole.observe(.offline, of: stores[5].id)
    _ = try await next.recovery.stepSnapshots()
    #expect(next.recovery.logStatus.shortPieces == 0)
    fixture.clock.advance(seconds: 901)
    _ = try await next.recovery.stepSnapshots()
    #expect(next.recovery.logStatus.shortPieces > 0)
    _ = try await next.recovery.stepLog()
    #expect(next.recovery.logStatus.shortPieces == 0)
    let (database, report) = try await fixture.rebuild("rebuilt", losing: [5])
    #expect(report.unreadablePieces == 0)
    #expect(try await differences(next.store, database.store) == [])
    await database.close()
    await next.close()
    await fixture.close()
  }

  @Test("Copies lie on as many servers as there are, a failed one replaced by another first")
  func distinct() async throws {
    let fixture = try RecoveryFixture(seed: 95)
    let nodes = fixture.storeIDs.enumerated().map { index, id in
      PlacementNode(id: id, server: "server-\(index / 2)")
    }
    let set = StoreSet(stores: fixture.stores, ring: PlacementRing(nodes: nodes, width: 6))
    let log = LogStores(stores: set, configuration: RecoveryConfiguration())
    let key = ExtentID(epoch: 1, random: (0, 1))
    var candidates = log.ranked(preferring: [], key: key)
    let first = log.pick(3, from: &candidates, beside: [])
    #expect(Set(first.map(log.domain)).count == 3)
    let next = log.pick(1, from: &candidates, beside: Array(first.prefix(2)))
    #expect(next.map(log.domain) == [log.domain(of: first[2])])
    await fixture.close()
  }
}
