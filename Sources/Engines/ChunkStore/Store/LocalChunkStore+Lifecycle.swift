public import Base
public import Disk
internal import Runtime
internal import Synchronization
public import Telemetry

extension LocalChunkStore {
  /// Makes a new store of a directory that is empty or not there yet; its parent is there.
  ///
  /// What another call left behind when it was interrupted counts as empty. Throws `offline` for a
  /// directory with anything else in it.
  public static func create(
    directory: String, fileSystem: any FileSystem, cluster: ClusterID, store: StoreID
  ) throws(ChunkStoreError) {
    let layout = StoreLayout(directory)
    do throws(DiskError) {
      try makeDirectory(layout.root, fileSystem)
      let subdirectories = [layout.chunks, layout.unfinished, layout.volumes]
      for entry in try fileSystem.list(layout.root) {
        let isOurs = subdirectories.contains { $0.text.hasSuffix("/" + entry.name) }
        if entry.name == "lost+found" || entry.name == "store.json.new" { continue }
        guard isOurs, entry.isDirectory,
          try fileSystem.list(layout.root.appending(entry.name, kind: .store)).isEmpty
        else { throw DiskError(.exists, .create, .store) }
      }
      for path in subdirectories { try makeDirectory(path, fileSystem) }
      try write(StoreDescription(cluster: cluster, store: store), layout, fileSystem)
    } catch {
      if error.code == .exists {
        throw .offline("the directory is not empty: a new store needs a new directory")
      }
      throw .offline(error.description)
    }
  }

  private static func makeDirectory(
    _ path: DiskPath, _ fileSystem: any FileSystem
  ) throws(DiskError) {
    do {
      try fileSystem.makeDirectory(path)
    } catch {
      guard error.code == .exists, try fileSystem.status(path).isDirectory else { throw error }
    }
  }

  /// The description comes last: with it the store is there, and all of it is durable.
  private static func write(
    _ description: StoreDescription, _ layout: StoreLayout, _ fileSystem: any FileSystem
  ) throws(DiskError) {
    do {
      try fileSystem.delete(layout.newDescription)
    } catch {
      guard error.code == .notFound else { throw error }
    }
    let handle = try fileSystem.open(layout.newDescription, FileMode(.create))
    let bytes = description.encoded
    let buffer = AlignedBuffer(count: bytes.count)
    buffer.copy(bytes)
    try unsafe buffer.withBytes(0..<bytes.count) { bytes throws(DiskError) in
      try unsafe handle.write([bytes], at: 0)
    }
    try handle.syncData()
    try fileSystem.syncDirectory(layout.root)
    try fileSystem.rename(layout.newDescription, to: layout.description)
    CrashPoint.reach(.storeNamed)
    try settle(layout, fileSystem)
  }

  /// Makes the name of a store that `create` made durable, which an interrupted `create` may not
  /// have done.
  public static func settle(
    directory: String, fileSystem: any FileSystem
  ) throws(DiskError) {
    try settle(StoreLayout(directory), fileSystem)
  }

  private static func settle(
    _ layout: StoreLayout, _ fileSystem: any FileSystem
  ) throws(DiskError) {
    try fileSystem.syncDirectory(layout.root)
    let parent = layout.root.text.split(separator: "/").dropLast().joined(separator: "/")
    let isAbsolute = layout.root.text.hasPrefix("/")
    let path = (isAbsolute ? "/" : "") + (parent.isEmpty && !isAbsolute ? "." : parent)
    try fileSystem.syncDirectory(DiskPath(path, kind: .store))
  }

  /// Opens a store that `create` made.
  ///
  /// Nothing is ever made anew: a directory without description, or with that of another cluster
  /// or store, is `offline`, and so is one that another process has open.
  public static func open(
    directory: String, fileSystem: any FileSystem, cluster: ClusterID, store: StoreID? = nil,
    options: LocalChunkStoreOptions = LocalChunkStoreOptions(), log: Log = .none
  ) throws(ChunkStoreError) -> LocalChunkStore {
    let layout = StoreLayout(directory)
    let options = options.clamped
    do {
      let handle = try fileSystem.open(layout.description, FileMode(.read))
      try handle.lock()
      let description = try StoreDescription(decoding: readAll(handle))
      guard description.cluster == cluster else {
        throw ChunkStoreError.offline("the store belongs to another cluster")
      }
      guard store == nil || store == description.store else {
        throw ChunkStoreError.offline("the directory holds another store")
      }
      let guardian = try StoreGuard(
        fileSystem: fileSystem, layout: layout, options: options, log: log, identity: handle)
      let result = LocalChunkStore(description, guardian: guardian, options: options, log: log)
      try result.files.recover()
      try result.volumes.recover()
      return result
    } catch let error as DiskError {
      if error.code == .notFound {
        throw .offline("the directory holds no store, or not all of it: is it mounted?")
      }
      throw .offline(error.description)
    } catch let error as FormatError {
      throw .offline(error.message)
    } catch let error as ChunkStoreError {
      throw error
    } catch {
      throw .offline("the store cannot be opened")
    }
  }

  private static func readAll(_ handle: any FileHandle) throws(DiskError) -> [UInt8] {
    let buffer = AlignedBuffer(count: StoreDescription.maximumLength + 1)
    let count = try unsafe buffer.withMutableBytes(0..<buffer.count) { bytes throws(DiskError) in
      try unsafe handle.read(into: bytes, at: 0)
    }
    return buffer.bytes(0..<count)
  }

  /// Does the store's housekeeping until `shutdown` is called or the task is cancelled:
  /// checkpoints of the index, holes, and compaction of volumes. Durability does not depend on it.
  ///
  /// It works a fifth of the time, so as not to be in the way of writes, unless space is short. One
  /// task runs it. Its failures are the store's condition; it ends when there is no more use.
  public func run() async {
    let clock = ContinuousClock()
    volumes.bell.ring()
    while await volumes.bell.wait() {
      do throws(ChunkStoreError) {
        while true {
          try await checkpoint()
          let cycle = DutyCycle(0.2, clock: clock, longestRest: .seconds(1))
          guard try await compactStep() else { break }
          let rest = volumes.isShortOfSpace ? .zero : cycle.due
          do { try await clock.sleep(for: rest) } catch { return }
        }
      } catch {
        switch error {
        case .full, .io: continue
        default: return
        }
      }
    }
  }

  /// Makes some holes, or looks at a bounded part of a volume that holds little; returns false when
  /// there is nothing of the kind to do.
  public func compactStep() async throws(ChunkStoreError) -> Bool {
    try requireOpen()
    return try await volumes.compactStep()
  }

  /// Writes the index to the disk if enough has changed since it was, or in any case if `always`.
  public func checkpoint(always: Bool = false) async throws(ChunkStoreError) {
    try await volumes.checkpoint(always: always)
  }

  /// Removes at most `limit` files that were begun and that nobody is writing any more; returns
  /// how many. None of them was ever a chunk: a file gets its chunk's name when it is complete.
  public func sweepUnfinished(limit: Int) async throws(ChunkStoreError) -> Int {
    try requireOpen()
    do throws(DiskError) {
      return try files.sweepUnfinished(limit: limit)
    } catch {
      throw guardian.failure(error)
    }
  }

  /// Ends the store: refuses what comes, waits for what is under way, and writes the index.
  ///
  /// The lock goes with the last reference to the store, its readers and its writers.
  public func shutdown() async {
    guard closeOnce() else { return }
    volumes.bell.close()
    _ = try? await volumes.submit(.barrier)
    try? await files.sync([])
    try? await checkpoint(always: true)
  }
}

extension VolumeLog {
  /// Some chunks behind `last` in the order of shards and names; fewer than `limit` only at the
  /// end.
  func list(after last: ChunkID?, limit: Int) -> [ChunkID] {
    var result: [ChunkID] = []
    let first = last.map(ChunkIndex.shard(of:)) ?? 0
    for shard in first..<ChunkIndex.shardCount where result.count < limit {
      var ids = state.withLock { $0.index.entries(inShard: shard) }.map(\.id)
      if shard == first, let last { ids.removeAll { $0 <= last } }
      ids.sort()
      result += ids.prefix(limit - result.count)
    }
    return result
  }
}
