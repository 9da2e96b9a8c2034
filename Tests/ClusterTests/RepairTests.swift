import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Placement
import Runtime
import Synchronization
import Testing

/// A number that hooks of stores change.
private final class Counter: Sendable {
  private let value = Atomic(0)

  /// What it is once `count` was added.
  func add(_ count: Int) -> Int { value.wrappingAdd(count, ordering: .relaxed).newValue }
}

@Suite("Repair in a cluster")
struct RepairTests {
  /// An extent of a gateway's bucket as its row is now.
  private func row(_ cluster: TestCluster, _ id: ExtentID) async throws -> Extent {
    try #require(try await cluster.extents().first { $0.id == id })
  }

  @Test("repairs of what dead servers held ask nothing of them")
  func asksNoDeadServer() async throws {
    let cluster = try await TestCluster(seed: 21, servers: 9)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await gateway.putMany(12)
    let away = [cluster.servers[0], cluster.servers[5]]
    for server in away { server.stop() }
    try await gateway.live(20)
    for server in away { server.stores[0].vain.withLock { $0 = 0 } }
    try await gateway.live {
      let named = try await cluster.named()
      return away.allSatisfy { named[$0.stores[0].id] == nil }
    }
    #expect(away.map { $0.stores[0].vain.withLock { $0 } } == [0, 0])
    #expect(try await gateway.readsAll(12))
    await cluster.close()
  }

  @Test("chunks are read from servers that seem to be away where the others do not suffice")
  func lastResort() async throws {
    let cluster = try await TestCluster(seed: 22, servers: 7)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    let extent = try #require(try await gateway.put("key0"))
    // Two chunks are gone, and two of the four others lie in stores that only seem to be away.
    for index in 0..<2 {
      let store = try #require(cluster.server(of: extent.stores[index])?.stores[0])
      try await store.inner.delete([ChunkID(extent: extent.id, index: UInt8(index))])
    }
    for index in 2..<4 { gateway.engine.stores.observe(.offline, of: extent.stores[index]) }
    try await gateway.store.queueRepair(extent.id, chunks: 0b11, reason: "deleted")
    try await gateway.run("repair")
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(try await cluster.differences().missing == 0)
    await cluster.close()
  }

  @Test("a repair that failed by a former ring is tried again by the present one at once")
  func ringChange() async throws {
    let cluster = try await TestCluster(seed: 23, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    let extent = try #require(try await gateway.put("key0"))
    let away = try #require(cluster.server(of: extent.stores[3]))
    away.stop()
    try await gateway.beat()
    // A chunk that can be made in its place, and one that cannot before its server counts as lost.
    let target = try #require(cluster.server(of: extent.stores[1])?.stores[0])
    try await target.inner.delete([ChunkID(extent: extent.id, index: 1)])
    try await gateway.store.queueRepair(extent.id, chunks: 0b1010, reason: "gone")
    target.onPut.withLock {
      $0 = { [administration = gateway.administration] in
        try? await administration.declareLost(away.id)
      }
    }
    try await gateway.run("repair")
    #expect(try await !row(cluster, extent.id).stores.contains(away.stores[0].id))
    #expect(try await gateway.store.repairs(limit: 10).isEmpty)
    #expect(try await gateway.reads("key0"))
    await cluster.close()
  }

  @Test("an extent that another task is at work on is repaired once that one is done")
  func busy() async throws {
    let cluster = try await TestCluster(seed: 24, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    let first = try #require(try await gateway.put("key0"))
    let second = try #require(try await gateway.put("key1"))
    for (extent, chunks) in [(first, [0, 4]), (second, [2])] {
      for index in chunks {
        let store = try #require(cluster.server(of: extent.stores[index])?.stores[0])
        try await store.inner.delete([ChunkID(extent: extent.id, index: UInt8(index))])
      }
    }
    try await gateway.store.queueRepair(first.id, chunks: 0b1_0001, reason: "gone")
    try await gateway.store.queueRepair(second.id, chunks: 0b100, reason: "gone")
    let target = try #require(cluster.server(of: first.stores[0])?.stores[0])
    let runs = Mutex(false)
    target.onPut.withLock {
      $0 = {
        // Once: the other repair may have this store as its target too.
        guard
          runs.withLock({ runs in
            defer { runs = true }
            return !runs
          })
        else { return }
        try? await gateway.run("repair")
      }
    }
    let outcome = try await gateway.work.repairer.repair(first.id, chunks: 1)
    #expect(outcome == .repaired(chunks: 1))
    #expect(runs.withLock { $0 })
    // The other one did not wait for it, and what is left of it waits for nothing.
    #expect(try await gateway.store.repairs(limit: 10).map(\.extent.id) == [first.id])
    try await gateway.run("repair")
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(try await cluster.differences().missing == 0)
    await cluster.close()
  }

  /// Deletes chunks of new extents and queues them for repair.
  private func damage(
    _ count: Int, chunks: [Int], size: Int = 5000, in cluster: TestCluster, by gateway: TestGateway,
    prefix: String = "key"
  ) async throws {
    for number in 0..<count {
      let extent = try #require(try await gateway.put("\(prefix)\(number)", size: size))
      for index in chunks {
        let store = try #require(cluster.server(of: extent.stores[index])?.stores[0])
        try await store.inner.delete([ChunkID(extent: extent.id, index: UInt8(index))])
      }
      let bits = chunks.reduce(UInt32(0)) { $0 | 1 << UInt32($1) }
      try await gateway.store.queueRepair(extent.id, chunks: bits, reason: "gone")
    }
  }

  private func step(_ gateway: TestGateway) async throws -> StepOutcome {
    let worker = try #require(gateway.work.workers.first { $0.name == "repair" })
    return try await withTaskExecutorPreference(TestCluster.pool) { try await worker.step() }
  }

  @Test("small extents are repaired side by side or, if they bear a loss, recorded together")
  func sideBySide() async throws {
    let cluster = try await TestCluster(seed: 25, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await damage(2, chunks: [3], in: cluster, by: gateway)
    try await damage(7, chunks: [0, 5], in: cluster, by: gateway, prefix: "urgent")
    let meeting = Meeting(of: 7, in: cluster)
    #expect(try await step(gateway) == .busy)
    #expect(try await gateway.store.repairs(limit: 10).map(\.chunks) == [0b1000, 0b1000])
    meeting.end()
    let (inside, puts) = (Counter(), Counter())
    for store in cluster.servers.flatMap(\.stores) {
      store.onPut.withLock {
        $0 = {
          // One at a time, and none is recorded before all are made.
          #expect(inside.add(1) == 1)
          #expect((try? await gateway.store.counts().repairs) == 2)
          _ = (inside.add(-1), puts.add(1))
        }
      }
    }
    #expect(try await step(gateway) == .throttled)
    #expect(puts.add(0) == 2)
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(try await cluster.differences().missing == 0)
    await cluster.close()
  }

  @Test("after an error those that were made before it are recorded, and counted")
  func halfWay() async throws {
    let cluster = try await TestCluster(seed: 29, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await damage(5, chunks: [3], in: cluster, by: gateway)
    let puts = Counter()
    for store in cluster.servers.flatMap(\.stores) {
      store.onPut.withLock {
        $0 = { if puts.add(1) == 2 { gateway.driver.failingReads.withLock { $0 = 1 } } }
      }
    }
    await #expect(throws: MetadataError.self) { try await step(gateway) }
    #expect(try await gateway.store.counts().repairs == 3)
    let worker = try #require(gateway.work.workers.first { $0.name == "repair" })
    #expect(worker.progress.itemsDone == 2)
    #expect(try await step(gateway) == .throttled)
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(worker.progress.itemsDone == 5)
    await cluster.close()
  }

  @Test("the more servers there are, the more extents are repaired at a time")
  func lanes() async throws {
    let cluster = try await TestCluster(seed: 28, servers: 11)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    let worker = try #require(gateway.work.workers.first { $0.name == "repair" })
    #expect((worker.lanes, worker.maximumLanes) == (1, 8))
    try await cluster.join(try cluster.makeServer())
    cluster.time.advance(5)
    try await gateway.beat()
    #expect(worker.lanes == 2)
    // More than one step takes: the other one finds some that are free.
    try await damage(20, chunks: [3], in: cluster, by: gateway)
    let meeting = Meeting(of: 2, in: cluster)
    let outcomes = try await withThrowingTaskGroup(of: StepOutcome.self) { group in
      for _ in 0..<2 { group.addTask { try await step(gateway) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(outcomes == [.throttled, .throttled])
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(meeting.arrived == 20)
    #expect(try await cluster.differences().missing == 0)
    await cluster.close()
  }

  @Test("a large extent is repaired alone, wherever it is in the queue")
  func large() async throws {
    let cluster = try await TestCluster(seed: 26, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await damage(3, chunks: [1, 4], in: cluster, by: gateway)
    let size = 4 * ChunkLimits.smallDataLength + 1
    try await damage(1, chunks: [1, 4], size: size, in: cluster, by: gateway, prefix: "large")
    let queued = try await gateway.store.repairs(limit: 10)
    let large = try #require(queued.first { $0.extent.plaintextLength == size }).extent.id
    var left = Set(queued.map(\.extent.id))
    while left.contains(large) {
      #expect(try await step(gateway) == .busy)
      let now = Set(try await gateway.store.repairs(limit: 10).map(\.extent.id))
      #expect(now.contains(large) || left.subtracting(now) == [large])
      left = now
    }
    await cluster.close()
  }

  @Test("repairs side by side that cannot be recorded leave nothing behind, and are tried again")
  func failure() async throws {
    let cluster = try await TestCluster(seed: 27, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    try await damage(2, chunks: [2, 5], in: cluster, by: gateway)
    let meeting = Meeting(of: 2, in: cluster) {
      gateway.driver.isReachable.withLock { $0 = false }
    }
    await #expect(throws: MetadataError.self) { _ = try await step(gateway) }
    #expect(meeting.arrived >= 2)
    meeting.end()
    gateway.driver.isReachable.withLock { $0 = true }
    #expect(try await step(gateway) == .busy)
    #expect(try await gateway.store.counts().repairs == 0)
    #expect(try await cluster.differences() == Differences(missing: 0, strays: 0))
    await cluster.close()
  }
}
