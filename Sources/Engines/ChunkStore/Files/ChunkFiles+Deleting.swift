internal import Base
internal import Disk
internal import Synchronization

extension ChunkFiles {
  /// Removes chunks; those that are not there do not matter, above all those of `records`, which
  /// were records of a volume. Returns when all of them are gone for good.
  func delete(_ ids: [ChunkID], records: Set<ChunkID>) async throws(ChunkStoreError) {
    var unsynced = Set<UInt64>()
    var directories: [UInt64: Bool] = [:]
    var isAnyMissing = false
    for id in ids {
      let epoch = id.extent.epoch
      do throws(DiskError) {
        let isThere =
          if let known = directories[epoch] { known } else { try hasDirectory(epoch) }
        directories[epoch] = isThere
        let (wasThere, needsSync) = isThere ? try remove(id) : (false, false)
        guard wasThere || !records.contains(id) else { continue }
        if !wasThere { isAnyMissing = true }
        if needsSync { unsynced.insert(epoch) }
      } catch {
        throw guardian.failure(error)
      }
    }
    if isAnyMissing {
      // Not to be taken for gone because the whole store is.
      guardian.verifyPresence()
      try guardian.requireReadable()
    }
    if !unsynced.isEmpty { try await sync(unsynced.sorted()) }
  }

  /// Removes the name of a chunk if it is there; whether it was, and whether that it is not there any
  /// more needs a sync. What processes of before removed was synced when this one began.
  private func remove(_ id: ChunkID) throws(DiskError) -> (wasThere: Bool, needsSync: Bool) {
    let epoch = id.extent.epoch
    state.withLock { $0.removals.begin(epoch) }
    do {
      try fileSystem.delete(layout.chunkFile(id))
    } catch {
      // With any other error it may be gone.
      let isRemoved = error.code != .notFound
      let needsSync = state.withLock { $0.removals.end(epoch, isRemoved: isRemoved) }
      guard error.code == .notFound else { throw error }
      return (false, needsSync)
    }
    return state.withLock { state in
      state.count -= 1
      return (true, state.removals.end(epoch, isRemoved: true))
    }
  }

  private func hasDirectory(_ epoch: UInt64) throws(DiskError) -> Bool {
    if state.withLock({ $0.durableEpochs.contains(epoch) }) { return true }
    return try exists(layout.epochDirectory(epoch))
  }
}
