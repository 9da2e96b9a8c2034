import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Spreading")
struct SpreadTests {
  /// An installation with objects that were written while some of six stores were away.
  private struct Scene {
    static let sizes = [("small", 40_000), ("large", 3_300_000)]

    let installation: Installation
    let bucket: Bucket
    let away: Set<Int>
    let repairer: ExtentRepairer
    let worker: SpreadWorker

    init(seed: UInt64, away: Set<Int>) async throws {
      installation = try await Installation.open(InstallationPlan(seed: seed))
      bucket = try await installation.makeBucket()
      self.away = away
      repairer = ExtentRepairer(engine: installation.engine, log: .none)
      worker = SpreadWorker(repairer: repairer)
      setAway(true)
      for (key, bytes) in Self.sizes {
        try await installation.put(key, Self.expected(key, bytes), in: bucket)
      }
    }

    static func expected(_ key: String, _ bytes: Int) -> [UInt8] {
      content(bytes, seed: UInt64(bytes))
    }

    func setAway(_ isAway: Bool) {
      for place in away {
        if isAway {
          installation.hooks[place]?.intercept { _ throws(ChunkStoreError) in
            throw .offline("away")
          }
        } else {
          installation.hooks[place]?.intercept(nil)
        }
      }
      for place in away where isAway {
        installation.engine.stores.note(.offline("away"), of: installation.plan.stores[place])
      }
    }

    func comeBack() async {
      setAway(false)
      await installation.onPool { _ = await installation.engine.stores.refresh() }
    }

    func step() async throws -> StepOutcome {
      try await installation.onPool { try await worker.step() }
    }

    /// Steps until there is nothing to do.
    func finish() async throws {
      for _ in 0..<20 { if case .idle = try await step() { return } }
      Issue.record("the worker does not come to rest")
    }

    func extents() async throws -> [Extent] {
      var all: [Extent] = []
      for (key, _) in Self.sizes {
        all += try await installation.extents(of: key, in: bucket)
      }
      return all
    }

    /// Every store holds what the rows say, and nothing else.
    func expectNoStrays() async throws {
      var named: [Int: Set<ChunkID>] = [:]
      for place in 0..<6 { named[place] = [] }
      for extent in try await extents() {
        for index in extent.stores.indices {
          let place = try #require(installation.place(extent, index))
          named[place]?.insert(ChunkID(extent: extent.id, index: UInt8(index)))
        }
      }
      #expect(try await installation.chunks() == named)
    }

    func expectContent(hiding hidden: Set<Int> = []) async throws {
      let engine = installation.engine(hiding: hidden)
      for (key, bytes) in Self.sizes {
        let found = try await installation.read(key, in: bucket, by: engine)
        #expect(isSame(found, Self.expected(key, bytes)[...]), "\(key) without \(hidden)")
      }
    }
  }

  @Test(
    "extents written while stores were away are spread once they are back, and bear any two losses",
    arguments: [Set([1]), [0, 4], [1, 2, 5]])
  func spreads(away: Set<Int>) async throws {
    let scene = try await Scene(seed: 1, away: away)
    let store = scene.installation.store
    let before = try await scene.extents()
    for extent in before { #expect(Set(extent.stores).count == 6 - away.count) }
    #expect(try await store.underSpread(after: nil, limit: 10).count == before.count)
    #expect(try await store.counts().underSpread == before.count)
    await scene.comeBack()
    try await scene.finish()
    let after = try await scene.extents()
    for (old, new) in zip(before, after) {
      #expect(Set(new.stores).count == 6)
      #expect(new.generation == old.generation + 1)
      // The first chunk of a store stays where it is.
      for (index, place) in old.stores.enumerated()
      where old.stores.firstIndex(of: place) == index {
        #expect(new.stores[index] == place)
      }
    }
    #expect(try await store.underSpread(after: nil, limit: 10).isEmpty)
    #expect(try await store.counts().underSpread == 0)
    #expect(scene.worker.progress.itemsDone == before.count * away.count)
    try await scene.expectNoStrays()
    for first in 0..<6 {
      for second in first + 1..<6 { try await scene.expectContent(hiding: [first, second]) }
    }
    await scene.installation.close()
  }

  @Test("nothing happens while the store is away")
  func waits() async throws {
    let scene = try await Scene(seed: 2, away: [3])
    let before = try await scene.extents()
    for _ in 0..<2 {
      #expect(try await scene.step() == .throttled)
      #expect(try await scene.step() == .idle(nextAfter: .seconds(60)))
    }
    #expect(try await scene.extents() == before)
    #expect(scene.worker.progress.itemsDone == 0)
    scene.setAway(false)
    try await scene.expectNoStrays()
    await scene.installation.close()
  }

  @Test("a store that fails again leaves everything as it was; the next round succeeds")
  func failsAgain() async throws {
    let scene = try await Scene(seed: 3, away: [3])
    let before = try await scene.extents()
    await scene.comeBack()
    scene.installation.hooks[3]?.intercept { call throws(ChunkStoreError) in
      switch call {
      case .putSmall, .beginChunk: throw .io("a passing failure")
      default: return
      }
    }
    try await scene.finish()
    #expect(try await scene.extents() == before)
    try await scene.expectNoStrays()
    scene.installation.hooks[3]?.intercept(nil)
    try await scene.finish()
    #expect(try await scene.extents().allSatisfy { Set($0.stores).count == 6 })
    try await scene.expectNoStrays()
    await scene.installation.close()
  }

  @Test("a read that began before keeps the former copies until it ends")
  func runningRead() async throws {
    let scene = try await Scene(seed: 4, away: [0, 2, 4])
    let installation = scene.installation
    let before = try await installation.chunks().values.reduce(0) { $0 + $1.count }
    await scene.comeBack()
    let version = try #require(await installation.lookUp("large", in: scene.bucket))
    var read: ObjectRead? = try await installation.engine.read(version, 0..<version.size)
    for _ in 0..<5 { _ = try await scene.step() }
    #expect(try await scene.step() == .idle(nextAfter: .seconds(1)))
    #expect(try await scene.extents().allSatisfy { Set($0.stores).count == 6 })
    let during = try await installation.chunks().values.reduce(0) { $0 + $1.count }
    #expect(during == before + scene.worker.progress.itemsDone)
    let size = Mutex(0)
    try await read?.stream { _, piece in size.withLock { $0 += piece.count } }
    #expect(size.withLock { $0 } == Int(version.size))
    read = nil
    #expect(try await installation.store.repairs(limit: 1).isEmpty)
    #expect(try await scene.step() == .idle(nextAfter: .seconds(60)))
    try await scene.expectNoStrays()
    await installation.close()
  }

  @Test("objects deleted while they are spread stay deleted, and no chunk is left over")
  func deletedMeanwhile() async throws {
    let scene = try await Scene(seed: 5, away: [1, 5])
    await scene.comeBack()
    let (installation, bucket) = (scene.installation, scene.bucket)
    let once = Once()
    for place in scene.away {
      installation.hooks[place]?.intercept { call throws(ChunkStoreError) in
        switch call {
        case .putSmall, .beginChunk: break
        default: return
        }
        guard once.first() else { return }
        do {
          for (key, _) in Scene.sizes {
            _ = try await installation.engine.delete(bucket: bucket.id, key: Array(key.utf8))
          }
        } catch { throw .io("\(error)") }
      }
    }
    try await scene.finish()
    #expect(once.hasHappened)
    #expect(scene.worker.progress.itemsDone == 0)
    let tombstones = TombstoneWorker(engine: installation.engine, delay: .zero, log: .none)
    installation.clock.advance(seconds: 100)
    _ = try await installation.onPool { try await tombstones.step() }
    #expect(try await installation.chunks().values.allSatisfy(\.isEmpty))
    await installation.close()
  }

  @Test("a spreading that lost to a repair deletes what it wrote and no more")
  func lostRace() async throws {
    let scene = try await Scene(seed: 6, away: [2])
    await scene.comeBack()
    let installation = scene.installation
    let before = try await scene.extents()
    let once = Once()
    installation.hooks[2]?.intercept { call throws(ChunkStoreError) in
      switch call {
      case .putSmall, .beginChunk: break
      default: return
      }
      guard once.first() else { return }
      do {
        for extent in before {
          _ = try await installation.store.finishRepair(
            extent.id, chunks: 0, stores: extent.stores, generation: extent.generation)
        }
      } catch { throw .io("\(error)") }
    }
    #expect(try await scene.step() == .throttled)
    #expect(once.hasHappened)
    #expect(try await scene.extents().map(\.stores) == before.map(\.stores))
    try await scene.expectNoStrays()
    try await scene.expectContent()
    try await scene.finish()
    try await scene.finish()
    #expect(try await scene.extents().allSatisfy { Set($0.stores).count == 6 })
    try await scene.expectNoStrays()
    await installation.close()
  }
}
