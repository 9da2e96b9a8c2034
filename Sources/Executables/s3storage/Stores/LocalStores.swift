import Base
import ChunkStore
import Disk
import Runtime
import Telemetry

/// The chunk stores that this process keeps on its own disks.
struct LocalStores: Sendable {
  /// All of them, in order; those that could not be opened are offline.
  let all: [any ChunkStore]
  /// Those that were opened.
  let local: [LocalChunkStore]
  private let pool: ThreadPool

  /// What all stores of a process have in common.
  struct Settings {
    var files: any FileSystem
    var cluster: ClusterID
    var options: LocalChunkStoreOptions
    var pool: ThreadPool
    var log: Log

    init(
      _ configuration: Configuration, files: any FileSystem, cluster: ClusterID,
      pool: ThreadPool, log: Log
    ) {
      self.files = files
      self.cluster = cluster
      self.pool = pool
      self.log = log
      options = LocalChunkStoreOptions()
      options.reserveFraction = Double(configuration.number("STORE_RESERVE_PERCENT")) / 100
      options.reserveBytes = configuration.number("STORE_RESERVE_BYTES")
    }
  }

  /// A store to be opened.
  struct Place {
    var directory: String
    var id: StoreID
    /// Whether it is made when it is not there: only before it has been made once, also when that
    /// was interrupted.
    var mayMake: Bool
  }

  /// The directories in the order of the stores that they hold, whatever their order was: a disk
  /// may be given another name or place. Those that hold none of them take the places that are left,
  /// in order: empty for stores that none is left for.
  static func arrange(
    _ directories: [String], _ ids: [StoreID], _ files: any FileSystem
  ) -> [String] {
    var left = directories
    var found: [StoreID: String] = [:]
    for directory in directories {
      let identity = try? LocalChunkStore.identity(ofDirectory: directory, fileSystem: files)
      // A copy of a store's directory is none of the stores, and will not open as another.
      guard let id = identity?.store, ids.contains(id), found[id] == nil else { continue }
      found[id] = directory
      left.removeAll { $0 == directory }
    }
    var others = left.makeIterator()
    return ids.map { found[$0] ?? others.next() ?? "" }
  }

  /// Opens stores. One that is absent or foreign is offline and never made again.
  static func open(
    _ places: [Place], _ settings: Settings
  ) async throws -> LocalStores {
    var local: [LocalChunkStore] = []
    var all: [any ChunkStore] = []
    for place in places {
      let id = place.id
      do throws(ChunkStoreError) {
        if place.mayMake { try makeUnlessThere(place.directory, id, settings) }
        let store = try await settings.pool.run { () throws(ChunkStoreError) in
          try LocalChunkStore.open(
            directory: place.directory, fileSystem: settings.files, cluster: settings.cluster,
            store: id, options: settings.options, log: settings.log)
        }
        local.append(store)
        all.append(store)
      } catch {
        if place.mayMake { throw error }
        settings.log.error("a store is offline", [("store", "\(id)"), ("reason", "\(error)")])
        all.append(UnavailableChunkStore(id: id, reason: "\(error)"))
      }
    }
    return LocalStores(all: all, local: local, pool: settings.pool)
  }

  private static func makeUnlessThere(
    _ path: String, _ id: StoreID, _ settings: Settings
  ) throws(ChunkStoreError) {
    let description = DiskPath(path, kind: "store directory")
      .appending("store.json", kind: "store description")
    do throws(DiskError) {
      _ = try settings.files.status(description)
      // Who made it may have ended before its name was durable.
      try LocalChunkStore.settle(directory: path, fileSystem: settings.files)
      return
    } catch {
      guard error.code == .notFound else { throw .io("\(error)") }
    }
    try LocalChunkStore.create(
      directory: path, fileSystem: settings.files, cluster: settings.cluster, store: id)
    CrashPoint.reach(.startStoreMade)
  }

  /// Runs what the stores do in the background, until `shutDown`.
  func run() async {
    await withTaskGroup(of: Void.self) { group in
      for store in local {
        group.addTask(executorPreference: pool) { await store.run() }
      }
    }
  }

  /// Makes everything durable and closes the stores.
  func shutDown() async {
    for store in local {
      await withTaskExecutorPreference(pool) {
        try? await store.checkpoint(always: false)
        await store.shutdown()
      }
    }
  }
}
