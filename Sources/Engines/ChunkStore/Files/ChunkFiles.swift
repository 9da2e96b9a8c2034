internal import Base
internal import Disk
internal import Synchronization

/// The chunk files of a store: one directory for each epoch, one more for those being written.
final class ChunkFiles: Sendable {
  struct State {
    /// Epochs whose directory this process has made or found, and whose name is durable.
    var durableEpochs: Set<UInt64> = []
    var writing: Set<String> = []
    var nextWriter: UInt64 = 0
    var count = 0
    var removals = PendingRemovals()
    /// The sorted names of the epoch that a walk is in.
    var listing: (epoch: UInt64, names: [ChunkID])?
  }

  let guardian: StoreGuard
  let state = Mutex(State())
  /// Epochs whose directories need a sync.
  private let syncs: GroupCommit<[UInt64], Void>

  var fileSystem: any FileSystem { guardian.fileSystem }
  var layout: StoreLayout { guardian.layout }

  init(guardian: StoreGuard, clock: (any Clock<Duration>)?) {
    syncs = GroupCommit(clock: clock) { $0.count }
    self.guardian = guardian
  }

  /// The number of finished files.
  var count: Int { state.withLock { $0.count } }

  /// Counts the finished files and removes those that an earlier process was writing.
  func recover() throws(DiskError) {
    for entry in try fileSystem.list(layout.unfinished) where !entry.isDirectory {
      try fileSystem.delete(layout.unfinished.appending(entry.name, kind: .chunkFile))
    }
    // An earlier process may have died between a rename or removal and the sync: what is seen from
    // now on is not to change any more.
    try fileSystem.syncDirectory(layout.chunks)
    let epochs = try epochs()
    var count = 0
    for epoch in epochs {
      try fileSystem.syncDirectory(layout.epochDirectory(epoch))
      count += try names(ofEpoch: epoch).count
    }
    state.withLock { state in
      state.count = count
      state.durableEpochs = Set(epochs)
    }
  }

  /// Makes a file for a chunk that nobody sees yet.
  func create(_ id: ChunkID) throws(DiskError) -> (name: String, handle: any FileHandle) {
    let name = state.withLock { state in
      state.nextWriter += 1
      let name = "\(id)-\(state.nextWriter)"
      state.writing.insert(name)
      return name
    }
    do {
      let path = layout.unfinished.appending(name, kind: .chunkFile)
      return (name, try fileSystem.open(path, FileMode(.create, isDirect: true)))
    } catch {
      forget(name)
      throw error
    }
  }

  /// The writer of a file is done with it or has died.
  func forget(_ name: String) {
    state.withLock { _ = $0.writing.remove(name) }
  }

  /// Removes a file that will not be finished.
  func discard(_ name: String) {
    try? fileSystem.delete(layout.unfinished.appending(name, kind: .chunkFile))
    forget(name)
  }

  /// Removes files that nobody is writing any more, at most `limit`; returns how many.
  func sweepUnfinished(limit: Int) throws(DiskError) -> Int {
    let entries = try fileSystem.list(layout.unfinished)
    let dead = state.withLock { state in
      entries.filter { !$0.isDirectory && !state.writing.contains($0.name) }.prefix(limit)
    }
    for entry in dead {
      try fileSystem.delete(layout.unfinished.appending(entry.name, kind: .chunkFile))
    }
    return dead.count
  }

  /// Gives a complete, synced file the name of its chunk; returns when the name is durable.
  func publish(_ name: String, as id: ChunkID) async throws(ChunkStoreError) {
    let epoch = id.extent.epoch
    do throws(DiskError) {
      if !state.withLock({ $0.durableEpochs.contains(epoch) }) { try makeDirectory(epoch) }
      let source = layout.unfinished.appending(name, kind: .chunkFile)
      let target = layout.chunkFile(id)
      let isNew = try !exists(target)
      try fileSystem.rename(source, to: target)
      if isNew { state.withLock { $0.count += 1 } }
    } catch {
      throw guardian.failure(error)
    }
    try await sync([epoch])
  }

  /// Makes the names in the directories of some epochs durable.
  func sync(_ epochs: [UInt64]) async throws(ChunkStoreError) {
    try await syncs.submit(epochs) { flush($0) }
  }

  /// One sync for each directory that a batch of tasks has changed.
  private func flush(_ batch: [[UInt64]]) -> [Result<Void, ChunkStoreError>] {
    do throws(ChunkStoreError) {
      try guardian.requireWritable()
      let epochs = Set(batch.joined())
      let (new, removals) = state.withLock { state in
        (epochs.subtracting(state.durableEpochs), state.removals.covered(by: epochs))
      }
      do throws(DiskError) {
        if !new.isEmpty { try fileSystem.syncDirectory(layout.chunks) }
        for epoch in epochs.sorted() { try fileSystem.syncDirectory(layout.epochDirectory(epoch)) }
      } catch {
        throw guardian.failure(error)
      }
      state.withLock { state in
        state.durableEpochs.formUnion(new)
        state.removals.synced(removals)
      }
      return batch.map { _ in .success(()) }
    } catch {
      return batch.map { _ in .failure(error) }
    }
  }

  private func makeDirectory(_ epoch: UInt64) throws(DiskError) {
    do {
      try fileSystem.makeDirectory(layout.epochDirectory(epoch))
    } catch {
      guard error.code == .exists else { throw error }
    }
  }

  func exists(_ path: DiskPath) throws(DiskError) -> Bool {
    do {
      _ = try fileSystem.status(path)
      return true
    } catch {
      guard error.code == .notFound else { throw error }
      return false
    }
  }
}
