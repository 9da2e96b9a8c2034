import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Rebalance in a cluster")
struct RebalanceTests {
  private struct NeverHappened: Error {}

  /// Steps of one lane until the walk is over.
  private func lane(_ worker: any BackgroundWorker, _ gateway: TestGateway) async throws {
    try await withTaskExecutorPreference(TestCluster.pool) {
      for _ in 0..<20_000 {
        if try await gateway.administration.rebalance().isBalanced { return }
        if case .idle = try await worker.step() { await Task.yield() }
      }
      throw NeverHappened()
    }
  }

  @Test("the more servers there are, the more extents are moved at a time")
  func lanes() async throws {
    let cluster = try await TestCluster(seed: 31, servers: 11)
    let gateway = try await cluster.gateway()
    try await gateway.live(10)
    // More than three pages.
    try await gateway.putMany(200)
    let worker = try #require(gateway.work.workers.first { $0.name == "rebalance" })
    #expect((worker.lanes, worker.maximumLanes) == (1, 8))
    let joining = try cluster.makeServer()
    try await cluster.join(joining)
    cluster.time.advance(5)
    try await gateway.beat()
    #expect(worker.lanes == 1)
    let loaded = try await withTaskExecutorPreference(TestCluster.pool) { try await worker.step() }
    #expect(loaded == .throttled)
    #expect(worker.lanes == 2)
    // Chunks that are being put, the most there were, and all; the first waits for another.
    let puts = Mutex((now: 0, most: 0, all: 0))
    for store in cluster.servers.flatMap(\.stores) {
      store.onPut.withLock {
        $0 = {
          let isFirst = puts.withLock { puts in
            puts.now += 1
            puts.all += 1
            puts.most = max(puts.most, puts.now)
            return puts.all == 1
          }
          if isFirst { try? await eventually { puts.withLock { $0.most } > 1 } }
          puts.withLock { $0.now -= 1 }
        }
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2 { group.addTask { try await lane(worker, gateway) } }
      try await group.waitForAll()
    }
    #expect(puts.withLock { $0.most } == 2)
    #expect(worker.lanes == 1)
    let named = try await cluster.named()
    #expect(named[joining.stores[0].id] == worker.progress.itemsDone)
    #expect((50..<150).contains(worker.progress.itemsDone))
    #expect(try await cluster.differences().missing == 0)
    #expect(try await gateway.readsAll(200))
    await cluster.close()
  }
}
