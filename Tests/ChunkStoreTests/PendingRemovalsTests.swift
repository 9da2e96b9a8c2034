import Runtime
import TestSupport
import Testing

@testable import ChunkStore

@Suite("Pending removals")
struct PendingRemovalsTests {
  @Test("what is missing needs a sync while names are removed there, and until one covers them")
  func overlap() {
    var removals = PendingRemovals()
    var needs: [Bool] = []
    removals.begin(1)
    removals.begin(1)
    needs.append(removals.finishMissing(1))
    removals.begin(2)
    needs.append(removals.finishMissing(2))
    needs.append(removals.finishRemoved(1))
    removals.begin(1)
    needs.append(removals.finishMissing(1))
    removals.synced(removals.covered(by: [1]))
    removals.begin(1)
    needs.append(removals.finishMissing(1))
    #expect(needs == [true, false, true, true, false])
  }

  @Test("a sync covers what was removed before it began")
  func late() {
    var removals = PendingRemovals()
    var needs: [Bool] = []
    removals.begin(1)
    needs.append(removals.finishRemoved(1))
    let covered = removals.covered(by: [1, 2])
    removals.begin(1)
    needs.append(removals.finishRemoved(1))
    removals.synced(covered)
    removals.begin(1)
    needs.append(removals.finishMissing(1))
    #expect(needs == [true, true, true])
  }

  @Test("what a killed process had removed stays away once it was found missing", arguments: 1...16)
  func restart(seed: UInt64) async throws {
    let system = LossyFileSystem()
    let chunk = SampleChunk(1, length: 400_000)
    try await withTaskExecutorPreference(blockingPool) {
      try await chunk.put(to: StoreHarness(system).createAndOpen())
      // It was killed before the sync.
      try system.delete(StoreLayout("/store").chunkFile(chunk.id))
      let store = try StoreHarness(system).open()
      try await store.delete([chunk.id])
      let reopened = try StoreHarness(system.afterPowerCut(SeededRandom(seed: seed))).open()
      #expect(await failure { try await reopened.openChunk(chunk.id) } == .missing)
    }
  }
}

extension PendingRemovals {
  fileprivate mutating func finishMissing(_ epoch: UInt64) -> Bool { end(epoch, isRemoved: false) }
  fileprivate mutating func finishRemoved(_ epoch: UInt64) -> Bool { end(epoch, isRemoved: true) }
}
