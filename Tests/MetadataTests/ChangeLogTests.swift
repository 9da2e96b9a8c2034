import Base
import Metadata
import Runtime
import Synchronization
import Testing

/// All rows of the logged tables but those that only snapshots carry, by table.
private func rows(_ store: SQLMetadataStore) async throws -> [String: Set<[SQLValue]>] {
  let rows = Mutex<[String: Set<[SQLValue]>]>([:])
  try await store.dump(cluster: ClusterID(high: 0, low: 0), log: [], floor: 0) { item in
    guard case .rows(let number, let list) = item, let table = LoggedTable.numbered(number),
      table.isLogged
    else { return }
    rows.withLock { $0[table.name, default: []].formUnion(list) }
  }
  return rows.withLock { $0 }
}

@Suite("Change log of the repository")
struct ChangeLogTests {
  @Test(
    "Without a store for the log a change is refused and not made, unless it may be logged later",
    arguments: DatabaseKind.available)
  func noStores(kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind, seed: 80)
    defer { withExtendedLifetime(fixture) {} }
    let store = fixture.store
    let sink = MemorySink()
    sink.isReady.withLock { $0 = false }
    try await store.setChangeLogID([UInt8](repeating: 7, count: 16))
    store.setChangeSink(sink)
    await #expect(
      throws: MetadataError.unavailable(
        "no storage server has joined yet that takes the change log")
    ) { try await store.setSetting("refused", [1]) }
    #expect(try await store.setting("refused") == nil)
    try await ChangeLogPolicy.$mayLogLater.withValue(true) {
      try await store.setSetting("first", [1])
    }
    #expect(try await store.setting("first") == [1])
    #expect(sink.records.withLock { $0 }.isEmpty)
    let marks = try await store.changeMarks(after: 0, limit: 10)
    #expect(marks.count == 1)
    sink.isReady.withLock { $0 = true }
    try await store.setSetting("then", [1])
    try await store.relog(marks)
    #expect(sink.records.withLock { $0 }.flatMap(\.changes).count == 2)
  }

  @Test(
    "While no store takes the log a change is marked, and only what may be logged later succeeds",
    arguments: DatabaseKind.available)
  func noStoreInReach(kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind, seed: 81)
    defer { withExtendedLifetime(fixture) {} }
    let store = fixture.store
    let sink = MemorySink()
    sink.isReached.withLock { $0 = false }
    try await store.setChangeLogID([UInt8](repeating: 7, count: 16))
    store.setChangeSink(sink)
    await #expect(throws: MetadataError.unknownOutcome) { try await store.setSetting("one", [1]) }
    try await ChangeLogPolicy.$mayLogLater.withValue(true) {
      try await store.setSetting("two", [1])
    }
    #expect(try await store.setting("two") == [1])
    #expect(try await store.changeMarks(after: 0, limit: 10).count == 2)
  }

  @Test(
    "What fails behind a commit is no refusal", arguments: DatabaseKind.available,
    [MetadataError.unavailable("the connection is lost"), .fenced, .full])
  func failureBehindCommit(kind: DatabaseKind, failure: MetadataError) async throws {
    let fixture = try await Fixture.on(kind, seed: 83)
    defer { withExtendedLifetime(fixture) {} }
    let store = fixture.store
    let sink = MemorySink()
    sink.isReached.withLock { $0 = false }
    sink.failure.withLock { $0 = failure }
    try await store.setChangeLogID([UInt8](repeating: 7, count: 16))
    store.setChangeSink(sink)
    await #expect(throws: MetadataError.unknownOutcome) { try await store.setSetting("one", [1]) }
    #expect(try await store.setting("one") == [1])
    try await ChangeLogPolicy.$mayLogLater.withValue(true) {
      try await store.setSetting("two", [1])
    }
    #expect(try await store.changeMarks(after: 0, limit: 10).count == 2)
  }

  @Test(
    "What a random run logs makes every table again, in either database and in any order",
    arguments: DatabaseKind.available, DatabaseKind.available)
  func randomRun(from source: DatabaseKind, to target: DatabaseKind) async throws {
    let run = try await ModelRun(seed: 77, on: source)
    let sink = MemorySink()
    let floor = try await run.store.changeBarrier()
    let header = try await snapshotRows(run.store, floor: floor)
    try await run.store.setChangeLogID([UInt8](repeating: 7, count: 16))
    run.store.setChangeSink(sink)
    for _ in 0..<300 { try await run.step() }
    let user = try await run.store.createUser(
      name: "logged", tenant: 1, email: nil, role: .user)
    try await run.store.setDisabled(user.id, true)
    let other = try await Fixture.on(target, seed: 78)
    try await other.store.beginRebuild()
    for (table, list) in header { try await other.store.restore(table: table, list) }
    var records = sink.records.withLock { $0 }
    #expect(Set(records.map(\.number)).count > 100)
    records.shuffle()
    for start in stride(from: 0, to: records.count, by: 50) {
      try await other.store.stage(Array(records[start..<min(start + 50, records.count)]))
    }
    _ = try await other.store.applyStaged(after: floor, newer: [:])
    _ = try await other.store.finishRebuild(floor: floor)
    let (before, after) = (try await rows(run.store), try await rows(other.store))
    for name in Set(before.keys).union(after.keys).sorted() {
      #expect(before[name] == after[name], "\(name)")
    }
    // New rows get numbers of their own.
    let made = try await other.store.createUser(name: "new", tenant: 1, email: nil, role: .user)
    #expect(made.id.number > user.id.number)
    let next = try await other.store.changeBarrier()
    #expect(next > (records.map(\.number).max() ?? 0))
    await other.close()
    await run.fixture.close()
  }

  @Test(
    "Changes of one row by many at a time replay to what is there",
    arguments: DatabaseKind.available)
  func contention(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind, seed: 79)
    let bucket = try await fixture.bucket()
    let sink = MemorySink()
    try await fixture.store.setChangeLogID([UInt8](repeating: 7, count: 16))
    let floor = try await fixture.store.changeBarrier()
    let before = try await snapshotRows(fixture.store, floor: floor)
    fixture.store.setChangeSink(sink)
    await withTaskGroup(of: Void.self) { group in
      for lane in 0..<8 {
        group.addTask {
          for round in 0..<15 {
            if (lane + round) % 4 == 0 {
              _ = try? await fixture.store.delete(
                bucket: bucket.id, key: [1], versionID: nil, condition: .none)
            } else {
              _ = try? await fixture.store.commit(
                fixture.inlineCommit(bucket, [1], etag: "\(lane) \(round)"))
            }
          }
        }
      }
    }
    let other = try await Fixture.on(.sqlite, seed: 80)
    try await other.store.beginRebuild()
    for (table, list) in before { try await other.store.restore(table: table, list) }
    try await other.store.stage(sink.records.withLock { $0.shuffled() })
    _ = try await other.store.applyStaged(after: floor, newer: [:])
    _ = try await other.store.finishRebuild(floor: floor)
    let (left, right) = (try await rows(fixture.store), try await rows(other.store))
    for name in Set(left.keys).union(right.keys).sorted() {
      #expect(left[name] == right[name], "\(name)")
    }
    await other.close()
    await fixture.close()
  }
}
