/// Which names were removed from the directories of epochs and may come back with a power cut.
///
/// A name that is missing needs no sync of its directory unless somebody is removing names there, or
/// has removed some that no sync has covered.
struct PendingRemovals {
  /// Removals that are being made.
  private var running: [UInt64: Int] = [:]
  /// The number of the last removal that no sync has covered.
  private var last: [UInt64: UInt64] = [:]
  private var count: UInt64 = 0

  /// A name of an epoch is about to be removed.
  mutating func begin(_ epoch: UInt64) { running[epoch, default: 0] += 1 }

  /// It was removed, or was not there. Returns whether what is seen there now needs a sync.
  mutating func end(_ epoch: UInt64, isRemoved: Bool) -> Bool {
    let others = running[epoch, default: 1] - 1
    running[epoch] = others > 0 ? others : nil
    if isRemoved {
      count += 1
      last[epoch] = count
    }
    return others > 0 || last[epoch] != nil
  }

  /// What a sync of these directories that begins now will cover.
  func covered(by epochs: Set<UInt64>) -> [UInt64: UInt64] {
    last.filter { epochs.contains($0.key) }
  }

  /// That sync has succeeded.
  mutating func synced(_ covered: [UInt64: UInt64]) {
    for (epoch, removal) in covered where last[epoch] == removal { last[epoch] = nil }
  }
}
