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
}

extension PendingRemovals {
  fileprivate mutating func finishMissing(_ epoch: UInt64) -> Bool { end(epoch, isRemoved: false) }
  fileprivate mutating func finishRemoved(_ epoch: UInt64) -> Bool { end(epoch, isRemoved: true) }
}
