internal import Base
internal import Disk
internal import Synchronization

extension ChunkFiles {
  /// Some finished files behind `last`, by epoch and name; fewer than `limit` only at the end.
  func list(after last: ChunkID?, limit: Int) throws(DiskError) -> [ChunkID] {
    var result: [ChunkID] = []
    for epoch in try epochs() where epoch >= last?.extent.epoch ?? 0 {
      let names = try sortedNames(epoch, isContinued: last?.extent.epoch == epoch)
      for name in names.dropFirst(Self.position(in: names, after: last)) {
        result.append(name)
        if result.count == limit { return result }
      }
    }
    return result
  }

  private static func position(in names: [ChunkID], after last: ChunkID?) -> Int {
    guard let last else { return 0 }
    var low = 0
    var high = names.count
    while low < high {
      let middle = low + (high - low) / 2
      if names[middle] <= last { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// A walk reads the directory of an epoch once, not once for each page.
  private func sortedNames(_ epoch: UInt64, isContinued: Bool) throws(DiskError) -> [ChunkID] {
    if isContinued, let listing = state.withLock({ $0.listing }), listing.epoch == epoch {
      return listing.names
    }
    let names = try names(ofEpoch: epoch).sorted()
    state.withLock { $0.listing = (epoch, names) }
    return names
  }

  func epochs() throws(DiskError) -> [UInt64] {
    try fileSystem.list(layout.chunks).compactMap { entry in
      entry.isDirectory ? StoreLayout.epoch(ofDirectory: entry.name) : nil
    }.sorted()
  }

  func names(ofEpoch epoch: UInt64) throws(DiskError) -> [ChunkID] {
    try fileSystem.list(layout.epochDirectory(epoch)).compactMap { entry in
      guard !entry.isDirectory, let id = StoreLayout.chunk(ofFile: entry.name),
        id.extent.epoch == epoch
      else { return nil }
      return id
    }
  }
}
