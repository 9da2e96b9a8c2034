import Base
import Metadata
import MetadataPostgres
import TestSupport
import Testing

@Suite("Chunks that are queued for repair")
struct QueueRepairTests {
  @Test("many extents are queued as each by itself would be", arguments: DatabaseKind.available)
  func many(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let extents = try await fixture.object(ofExtents: 150, in: fixture.bucket())
    try await store.queueRepair(extents[7].id, chunks: 0b1000, reason: "before")
    try await store.queueRepair(extents[8].id, chunks: 0b0001, reason: "before")
    var asked = extents.map { (extent: $0.id, chunks: UInt32(0b0001)) }
    asked.append((extents[9].id, 0b0100))
    asked.append((fixture.extent(100).id, 0b0001))
    asked[10].chunks = 0b1100_0000
    asked[11].chunks = 0xffff_ffff
    try await store.queueRepairs(asked, reason: "after")
    var expected = Dictionary(uniqueKeysWithValues: extents.map { ($0.id, UInt32(0b0001)) })
    expected[extents[7].id] = 0b1001
    expected[extents[9].id] = 0b0101
    expected[extents[10].id] = nil
    expected[extents[11].id] = 0b11_1111
    let found = try await store.repairs(limit: 1000)
    #expect(Dictionary(uniqueKeysWithValues: found.map { ($0.extent.id, $0.chunks) }) == expected)
    // Those with the fewest survivors come first, which shows what was counted.
    #expect(found.first?.extent.id == extents[11].id)
    #expect(Set(found[1...2].map(\.extent.id)) == [extents[7].id, extents[9].id])
    #expect(found.first { $0.extent.id == extents[8].id }?.reason == "before")
    #expect(found.first { $0.extent.id == extents[7].id }?.reason == "after")
    try await store.queueRepairs([], reason: "nothing")
    await fixture.close()
  }

  @Test(
    "repairs are recorded together, but for those of extents that have changed",
    arguments: DatabaseKind.available)
  func finished(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let store = fixture.store
    let ids = try await fixture.object(ofExtents: 5, in: fixture.bucket()).map(\.id)
    func rows() async throws -> [ExtentID: Extent] {
      let page = try await store.extents(after: nil, limit: 100)
      return Dictionary(uniqueKeysWithValues: page.map { ($0.id, $0) })
    }
    let before = try await rows()
    try await store.queueRepairs(ids.map { ($0, 0b11) }, reason: "lost")
    let moved = Array(Fixture.stores.reversed())
    func repair(_ id: ExtentID, _ chunks: UInt32, late: Int64 = 0) -> FinishedRepair {
      FinishedRepair(
        id, chunks: chunks, stores: moved, generation: (before[id]?.generation ?? 1) + late)
    }
    var short = repair(ids[4], 0b11)
    short.stores.removeLast()
    let recorded = try await store.finishRepairs([
      repair(ids[3], 0b11), repair(ids[1], 0b11, late: 1), repair(ids[0], 0b01), short,
      repair(fixture.extent(100).id, 0b11),
    ])
    #expect(recorded == [true, false, true, false, false])
    let after = try await rows()
    for (index, id) in ids.enumerated() {
      let isMoved = index == 3 || index == 0
      #expect(after[id]?.stores == (isMoved ? moved : before[id]?.stores))
      #expect(after[id]?.generation == before[id].map { $0.generation + (isMoved ? 1 : 0) })
    }
    let left = try await store.repairs(limit: 100).map { ($0.extent.id, $0.chunks) }
    #expect(
      Dictionary(uniqueKeysWithValues: left)
        == [ids[0]: 0b10, ids[1]: 0b11, ids[2]: 0b11, ids[4]: 0b11])
    #expect(try await store.finishRepairs([]).isEmpty)
    await fixture.close()
  }

  @Test(
    "a page of a walk takes a few transactions of a few round trips each, and so do repairs",
    .enabled(if: PostgresServer.isInstalled))
  func roundTrips() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let extents = try await fixture.object(ofExtents: 256, in: fixture.bucket())
    let before = fixture.roundTrips
    try await fixture.store.queueRepairs(extents.map { ($0.id, 0b1) }, reason: "lost")
    #expect(fixture.roundTrips - before <= 4 * 4)
    #expect(try await fixture.store.counts().repairs == 256)
    let queued = try await fixture.store.repairs(limit: 16)
    let start = fixture.roundTrips
    let recorded = try await fixture.store.finishRepairs(
      queued.map {
        FinishedRepair(
          $0.extent.id, chunks: 0b1, stores: $0.extent.stores, generation: $0.extent.generation)
      })
    #expect(fixture.roundTrips - start <= 4)
    #expect(recorded == Array(repeating: true, count: 16))
    #expect(try await fixture.store.counts().repairs == 240)
    await fixture.close()
  }

  @Test(
    "extents that are queued while objects of theirs are deleted get in nobody's way",
    .enabled(if: PostgresServer.isInstalled))
  func besideDeletes() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    for round in 0..<8 {
      var all: [ExtentID] = []
      for number in 0..<8 {
        let extents = (0..<24).map { _ in fixture.extent(10) }
        all += extents.map(\.id)
        _ = try await store.commit(
          fixture.extentCommit(bucket, .init(key: "k\(number)"), extents: extents))
      }
      let reversed = all.map { ($0, UInt32(1)) }.reversed()
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await store.queueRepairs(Array(reversed), reason: "lost") }
        for number in 0..<8 {
          group.addTask {
            _ = try await store.delete(
              bucket: bucket.id, key: .init(key: "k\(number)"), versionID: nil, condition: .none)
          }
        }
        try await group.waitForAll()
      }
      #expect(try await store.counts().repairs == 0, "round \(round)")
    }
    // Nobody waited for one another in a circle, which ends by a transaction that is run again.
    #expect(fixture.postgres.driver.metrics.transactions.retried == 0)
    await fixture.close()
  }
}
