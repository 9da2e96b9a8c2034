import Base
import ChunkStore
import Disk
import Runtime
import Telemetry

/// The chunk stores that this process keeps on its own disks. Those that could not be opened, or
/// vanish, are offline until their directory holds them again.
struct LocalStores: Sendable {
  /// All of them, in order.
  let local: [ReturningChunkStore]
  /// Names each store that has come back.
  let returns: AsyncStream<StoreID>
  private let pool: ThreadPool

  /// All of them, in order.
  var all: [any ChunkStore] { local }

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

  /// Opens stores. One that is absent or foreign is offline, and never made again.
  static func open(
    _ places: [Place], _ settings: Settings
  ) async throws -> LocalStores {
    let (returns, continuation) = AsyncStream.makeStream(of: StoreID.self)
    var opened: [StoreID: LocalChunkStore] = [:]
    var reasons: [StoreID: String] = [:]
    for place in places {
      do throws(ChunkStoreError) {
        if place.mayMake { try makeUnlessThere(place.directory, place.id, settings) }
        opened[place.id] = try await settings.pool.run { () throws(ChunkStoreError) in
          try open(place.id, in: place.directory, settings)
        }
      } catch {
        if place.mayMake { throw error }
        settings.log.error(
          "a store is offline", [("store", "\(place.id)"), ("reason", "\(error)")])
        reasons[place.id] = "\(error)"
      }
    }
    // Which of these holds which store is not known: disks may have changed places.
    let unknown = places.filter { opened[$0.id] == nil }.map(\.directory)
    let stores = places.map { place in
      let isKnown = opened[place.id] != nil
      let candidates = isKnown ? [place.directory] : unknown
      return ReturningChunkStore(
        place.id, opened[place.id], reason: reasons[place.id] ?? "",
        onReturn: { id in
          settings.log.info("a store is back", [("store", "\(id)")])
          continuation.yield(id)
        },
        reopen: { () throws(ChunkStoreError) in
          try reopen(place.id, in: candidates, settings)
        })
    }
    return LocalStores(local: stores, returns: returns, pool: settings.pool)
  }

  private static func open(
    _ id: StoreID, in directory: String, _ settings: Settings
  ) throws(ChunkStoreError) -> LocalChunkStore {
    try LocalChunkStore.open(
      directory: directory, fileSystem: settings.files, cluster: settings.cluster, store: id,
      options: settings.options, log: settings.log)
  }

  /// Opens a store in the one of `directories` that holds it.
  private static func reopen(
    _ id: StoreID, in directories: [String], _ settings: Settings
  ) throws(ChunkStoreError) -> LocalChunkStore {
    for directory in directories where directories.count > 1 && !directory.isEmpty {
      let identity = try? LocalChunkStore.identity(
        ofDirectory: directory, fileSystem: settings.files)
      if identity?.store == id { return try open(id, in: directory, settings) }
    }
    guard let directory = directories.first, directories.count == 1, !directory.isEmpty else {
      throw .offline("no directory holds the store: is it mounted?")
    }
    return try open(id, in: directory, settings)
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
      await withTaskExecutorPreference(pool) { await store.shutdown() }
    }
  }
}
