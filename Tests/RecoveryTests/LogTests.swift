import Base
import ChunkStore
import Metadata
import MetadataSQLite
import ObjectEngine
import Runtime
import Testing

@testable import Recovery

@Suite("Change log")
struct LogTests {
  /// What both must have: the objects by their content.
  private func expectSame(_ left: RecoveryNode, _ right: RecoveryNode) async throws {
    for bucket in try await left.store.listBuckets(
      tenant: 1, owner: nil, purpose: nil, prefix: "", after: "", limit: 100)
    {
      let one = try await left.store.list(ListRequest(bucket: bucket.id, limit: 1000))
      let two = try await right.store.list(ListRequest(bucket: bucket.id, limit: 1000))
      #expect(one == two)
      for case .object(let object) in one.rows {
        let key = String(decoding: object.key, as: UTF8.self)
        let before = try await left.read(key, in: bucket)
        let after = try await right.read(key, in: bucket)
        #expect(before == after, "\(bucket.name)/\(key)")
      }
      let usage = try await left.store.usage(of: bucket.id)
      let again = try await right.store.usage(of: bucket.id)
      #expect(usage == again, "\(bucket.name)")
    }
  }

  @Test(
    "After a random run the log gives every table again, whatever is lost besides",
    arguments: [1, 2, 3, 4, 5] as [UInt64])
  func randomRun(seed: UInt64) async throws {
    let lost: Set<Int> = seed == 1 ? [] : [Int(seed), Int(seed * 2) % 6]
    let fixture = try RecoveryFixture(seed: seed)
    let node = try await fixture.open("original")
    _ = try await node.recovery.makeSnapshot()
    var run = try await RandomRun([node], seed: seed)
    for number in 0..<250 {
      try await run.step(number)
      if number % 100 == 50 { _ = try await node.recovery.stepLog() }
      fixture.clock.advance(seconds: 1)
    }
    let report = try await fixture.expectRebuilt("rebuilt", losing: lost, as: node)
    #expect(report.transactions > 100)
    #expect(report.unreadablePieces == 0)
    #expect(report.tornGroups == 0)
    let again = try await fixture.open("rebuilt", stores: fixture.storeSet(losing: lost))
    try await expectSame(node, again)
    await again.close()
    await node.close()
    await fixture.close()
  }

  @Test("Logs of two gateways that interleave replay in the order of their commits")
  func twoGateways() async throws {
    let fixture = try RecoveryFixture(seed: 21)
    let first = try await fixture.open("original")
    let store = SQLMetadataStore(driver: first.database.driver, random: fixture.random)
    let second = try await fixture.node(
      over: store, database: first.database, stores: fixture.storeSet(), changeLog: .on)
    // An embedded database fences the writers before; here both are to live.
    let revive = SQLStatement("UPDATE writers SET state = 0")
    _ = try await first.database.driver.write(cost: 1) { try await $0.run(revive, []) }
    _ = try await first.recovery.makeSnapshot()
    let bucket = try await first.bucket("shared")
    await withTaskGroup(of: Void.self) { group in
      for (place, node) in [first, second].enumerated() {
        for lane in 0..<4 {
          group.addTask {
            for round in 0..<25 {
              let key = "key-\(round % 5)"
              if round % 7 == 6 {
                _ = try? await node.store.delete(
                  bucket: bucket.id, key: Array(key.utf8), versionID: nil, condition: .none)
              } else {
                _ = try? await node.put(key, Array("\(place) \(lane) \(round)".utf8), in: bucket)
              }
            }
          }
        }
      }
    }
    let pieces = [first, second].compactMap { node in
      node.recovery.logStatus.pieces > 0 ? 1 : nil
    }
    #expect(pieces.count == 2)
    try await fixture.expectRebuilt("rebuilt", losing: [0, 3], as: first)
    await first.close()
    await fixture.close()
  }

  @Test("An older snapshot and a longer log stand in for a newer snapshot that is lost")
  func olderSnapshot() async throws {
    let fixture = try RecoveryFixture(seed: 22)
    let node = try await fixture.open("original")
    _ = try await node.recovery.makeSnapshot()
    var run = try await RandomRun([node], seed: 22)
    for number in 0..<60 { try await run.step(number) }
    let newer = try await node.recovery.makeSnapshot()
    for number in 60..<120 { try await run.step(number) }
    for id in newer.extents {
      let extent = try #require(try await node.store.extents(named: [id]).first)
      for (index, place) in extent.stores.enumerated() where index < 3 {
        let store = try #require(fixture.stores.first { $0.id == place })
        try await withTaskExecutorPreference(RecoveryFixture.pool) {
          try await store.delete([ChunkID(extent: id, index: UInt8(index))])
        }
      }
    }
    let (database, report) = try await fixture.rebuild("rebuilt")
    #expect(report.unreadableSnapshots == [newer.number])
    #expect(report.snapshot == newer.number - 1)
    // What is left of it is on its way out.
    try await node.store.removeSnapshot(newer.number)
    let found = try await differences(node.store, database.store)
    #expect(found == [])
    await database.close()
    await node.close()
    await fixture.close()
  }

  @Test("A commit that no store of the log takes is not acknowledged; later it is logged")
  func refusingStores() async throws {
    let fixture = try RecoveryFixture(seed: 23)
    let (node, flaky) = try await fixture.openFlaky("original")
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    try await node.put("kept", [1, 2, 3], in: bucket)
    for store in flaky { store.fault = .refuses }
    await #expect(throws: EngineError.metadata(.unknownOutcome)) {
      try await node.put("unlogged", fixture.random.bytes(30_000), in: bucket)
    }
    #expect(try await node.store.pendingChanges() > 0)

    // The database is lost now: the write was not acknowledged, and is not live.
    let (early, report) = try await fixture.rebuild("early")
    let there = try await early.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array("unlogged".utf8), versionID: nil, withContent: false)
    #expect(there.bucket != nil)
    #expect(there.version == nil)
    #expect(report.reconciliation.quarantined == 1)
    let item = try #require(try await early.store.quarantined(after: nil, limit: 10).first)
    #expect(item.key == Array("unlogged".utf8))
    #expect(item.bucket == "bucket")
    #expect(item.size == 30_000)
    #expect(item.isReadable)
    await early.close()

    // It is not lost: the log takes it when the stores are back.
    for store in flaky { store.fault = .none }
    for _ in 0..<3 {
      fixture.clock.advance(seconds: 31)
      _ = try await node.recovery.stepLog()
    }
    try await fixture.expectRebuilt("late", as: node)
    await node.close()
    await fixture.close()
  }

  @Test("What is acknowledged takes to the log what it builds on and no store of the log took")
  func dependentChanges() async throws {
    let fixture = try RecoveryFixture(seed: 33)
    let (node, flaky) = try await fixture.openFlaky("original")
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    let content = fixture.random.bytes(30_000)
    for store in flaky { store.fault = .refuses }
    await #expect(throws: EngineError.metadata(.unknownOutcome)) {
      try await node.put("unlogged", content, in: bucket)
    }
    await #expect(throws: MetadataError.unknownOutcome) {
      _ = try await node.bucket("unlogged")
    }
    for store in flaky { store.fault = .none }
    // Both are there: what follows changes one of them, and puts something into the other.
    let found = try await node.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array("unlogged".utf8), versionID: nil, withContent: false)
    let version = try #require(found.version)
    _ = try await node.store.replaceAttributes(
      bucket: bucket.id, key: version.key, expected: version.number,
      version: node.engine.writer.nextOpaqueID(), attributes: ObjectAttributes(),
      storageClass: "STANDARD", checksum: nil)
    try await node.put("acknowledged", [1, 2, 3], in: try await node.bucket("unlogged"))

    let report = try await fixture.expectRebuilt("early", as: node)
    #expect(report.reconciliation.quarantined == 0)
    let again = try await fixture.open("early")
    #expect(try await again.read("unlogged", in: bucket) == content)
    await again.close()
    await node.close()
    await fixture.close()
  }

  @Test("A piece whose answer was lost is as good as one that was answered")
  func lostAnswers() async throws {
    let fixture = try RecoveryFixture(seed: 24)
    let (node, flaky) = try await fixture.openFlaky("original")
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    for store in flaky { store.fault = .losesAnswer }
    await #expect(throws: EngineError.metadata(.unknownOutcome)) {
      try await node.put("maybe", [1, 2, 3], in: bucket)
    }
    try await fixture.expectRebuilt("rebuilt", as: node)
    await node.close()
    await fixture.close()
  }

  @Test("Stores that fail are replaced by others, and the status says how many copies there are")
  func failover() async throws {
    let fixture = try RecoveryFixture(seed: 25)
    let (node, flaky) = try await fixture.openFlaky("original")
    let bucket = try await node.bucket("bucket")
    #expect(node.recovery.logStatus.lastCopies == 3)
    for store in flaky.prefix(3) { store.fault = .refuses }
    try await node.put("a", [1], in: bucket)
    #expect(node.recovery.logStatus.lastCopies == 3)
    for store in flaky.prefix(5) { store.fault = .refuses }
    try await node.put("b", [1], in: bucket)
    #expect(node.recovery.logStatus.lastCopies == 1)
    #expect(node.recovery.logStatus.lastError != nil)
    await node.close()
    await fixture.close()
  }

  @Test("A caller that goes away while it writes for all harms neither them nor the stores")
  func callerGone() async throws {
    let fixture = try RecoveryFixture(seed: 27)
    let (node, flaky) = try await fixture.openFlaky("original")
    let journal = try #require(node.recovery.journal)
    let caller = Task {
      while !Task.isCancelled { await Task.yield() }
      try await journal.append(
        ChangeRecord(
          number: 1_000_000, changes: [RowChange(table: 1, isDelete: true, values: [.int(1)])]))
    }
    caller.cancel()
    try await caller.value
    #expect(node.recovery.logStatus.lastCopies == 3)
    #expect(flaky.allSatisfy { node.engine.stores.state(of: $0.id) == .active })
    await node.close()
    await fixture.close()
  }

  @Test("A write that was called off says nothing of its store")
  func calledOff() async throws {
    let fixture = try RecoveryFixture(seed: 28)
    let set = fixture.storeSet()
    let id = try #require(fixture.stores.first).id
    let caller = Task {
      while !Task.isCancelled { await Task.yield() }
      set.note(.offline("the call was cancelled"), of: id)
    }
    caller.cancel()
    await caller.value
    #expect(set.state(of: id) == .active)
    set.note(.offline("it does not answer"), of: id)
    #expect(set.state(of: id) == .offline)
    await fixture.close()
  }

  @Test("A process that died between commit and log leaves marks that the next one logs")
  func marksOfTheDead() async throws {
    let fixture = try RecoveryFixture(seed: 26)
    let node = try await fixture.open("original")
    _ = try await node.recovery.makeSnapshot()
    let bucket = try await node.bucket("bucket")
    _ = try await node.recovery.stepLog()
    // Nobody takes what is committed from here on to the log.
    node.store.setChangeSink(nil)
    try await node.put("a", [1, 2, 3], in: bucket)
    try await node.put("b", fixture.random.bytes(20_000), in: bucket)
    _ = try await node.store.delete(
      bucket: bucket.id, key: Array("a".utf8), versionID: nil, condition: .none)
    #expect(try await node.store.pendingChanges() == 3)
    await node.database.close()
    let next = try await fixture.open("original")
    try await fixture.expectRebuilt("rebuilt", as: next)
    await next.close()
    await fixture.close()
  }

  @Test("Tombstones wait until their making is in the log")
  func tombstonesWait() async throws {
    let fixture = try RecoveryFixture(seed: 27)
    let node = try await fixture.open("original")
    let bucket = try await node.bucket("bucket")
    try await node.put("a", fixture.random.bytes(20_000), in: bucket)
    _ = try await node.recovery.stepLog()
    node.store.setChangeSink(nil)
    _ = try await node.store.delete(
      bucket: bucket.id, key: Array("a".utf8), versionID: nil, condition: .none)
    let later = fixture.clock.now.advanced(byMilliseconds: 10_000_000)
    #expect(try await node.store.tombstones(before: later, limit: 10).isEmpty)
    let marks = try await node.store.changeMarks(after: 0, limit: 10)
    try await node.store.forgetMarks(marks.map(\.number))
    #expect(try await node.store.tombstones(before: later, limit: 10).count == 1)
    await node.close()
    await fixture.close()
  }

  @Test("Pieces that two snapshots make needless go, and what is left still gives everything")
  func trimming() async throws {
    let fixture = try RecoveryFixture(seed: 28)
    let node = try await fixture.open("original")
    var run = try await RandomRun([node], seed: 28)
    var counts: [Int] = []
    for round in 0..<4 {
      for number in 0..<30 { try await run.step(round * 100 + number) }
      _ = try await node.recovery.makeSnapshot()
      _ = try await node.recovery.stepSnapshots()
      let inventory = await withTaskExecutorPreference(RecoveryFixture.pool) {
        await StoreInventory.take(fixture.stores)
      }
      counts.append(inventory.logPieces.count)
    }
    #expect(counts[3] < counts[0] + counts[1])
    try await fixture.expectRebuilt("rebuilt", as: node)
    await node.close()
    await fixture.close()
  }

  @Test("The log is trimmed under the lease of the work, and not when that is over")
  func fencedTrimming() async throws {
    let fixture = try RecoveryFixture(seed: 29)
    let stores = fixture.stores.map { FlakyStore($0) }
    let set = StoreSet(stores: stores, ring: fixture.storeSet().ring)
    let node = try await fixture.open("original", stores: set)
    var run = try await RandomRun([node], seed: 29)
    for round in 0..<3 {
      for number in 0..<20 { try await run.step(round * 100 + number) }
      _ = try await node.recovery.makeSnapshot()
    }
    func count() async -> Int {
      await withTaskExecutorPreference(RecoveryFixture.pool) {
        await StoreInventory.take(fixture.stores).logPieces.count
      }
    }
    let before = await count()
    let clock = SystemMonotonicClock()
    let over = WorkLease(name: "work", holder: 1, fence: 7, until: .zero, clock: clock)
    await #expect(throws: MetadataError.fenced) {
      try await over.lead { _ = try await node.recovery.stepSnapshots() }
    }
    #expect(await count() == before)
    #expect(stores.allSatisfy { $0.stamps.isEmpty })
    let lease = WorkLease(
      name: "work", holder: 1, fence: 8, until: clock.now + .seconds(3600), clock: clock)
    _ = try await lease.lead { try await node.recovery.stepSnapshots() }
    #expect(await count() < before)
    let stamps = stores.flatMap(\.stamps)
    #expect(!stamps.isEmpty && stamps.allSatisfy { $0 == CallStamp(fence: 8, attempt: 0) })
    await node.close()
    await fixture.close()
  }
}
