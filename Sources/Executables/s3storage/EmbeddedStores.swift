import Base
import ChunkStore
import Disk
import Metadata
import ObjectEngine
import Placement
import Runtime
import Telemetry

/// The chunk stores of an embedded installation.
struct EmbeddedStores: Sendable {
  let set: StoreSet
  let local: [LocalChunkStore]
  private let pool: ThreadPool

  /// Opens the stores that the metadata knows by their ids; a first start makes them.
  ///
  /// A store that is absent or foreign is offline and never made again: only a first start that
  /// was interrupted goes on with making.
  static func open(
    _ directory: DataDirectory, _ configuration: Configuration, cluster: ClusterID,
    metadata: any MetadataStore, pool: ThreadPool, random: any RandomSource, log: Log
  ) async throws -> EmbeddedStores {
    let ids = try await storeIDs(directory.stores.count, metadata, random)
    let isReady = try await metadata.setting("stores_ready") != nil
    var options = LocalChunkStoreOptions()
    options.reserveFraction = Double(configuration.number("STORE_RESERVE_PERCENT")) / 100
    options.reserveBytes = configuration.number("STORE_RESERVE_BYTES")
    let files = directory.files
    var local: [LocalChunkStore] = []
    var all: [any ChunkStore] = []
    for (path, id) in zip(directory.stores, ids) {
      let settings = options
      do throws(ChunkStoreError) {
        if !isReady {
          try makeUnlessThere(path, files, cluster: cluster, store: id)
        }
        let store = try await pool.run { () throws(ChunkStoreError) in
          try LocalChunkStore.open(
            directory: path, fileSystem: files, cluster: cluster, store: id, options: settings,
            log: log)
        }
        local.append(store)
        all.append(store)
      } catch {
        if !isReady { throw error }
        log.error("a store is offline", [("store", "\(id)"), ("reason", "\(error)")])
        all.append(UnavailableChunkStore(id: id, reason: "\(error)"))
      }
    }
    if !isReady { try await metadata.setSetting("stores_ready", [1]) }
    let nodes = ids.enumerated().map { PlacementNode(id: $1, server: "store-\($0)") }
    let set = StoreSet(stores: all, ring: PlacementRing(nodes: nodes, width: all.count))
    let opened = EmbeddedStores(set: set, local: local, pool: pool)
    _ = await withTaskExecutorPreference(pool) { await set.refresh() }
    return opened
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

  /// The highest epoch of any chunk. Reads all names: for a start after a restore only.
  func highestEpoch() async throws -> UInt64 {
    var highest: UInt64 = 0
    for store in local {
      var position: ChunkListPosition?
      repeat {
        let from = position
        let page = try await withTaskExecutorPreference(pool) {
          try await store.list(from: from, limit: 10_000)
        }
        for chunk in page.chunks where !SystemExtentID.isReserved(chunk.extent) {
          highest = max(highest, chunk.extent.epoch)
        }
        position = page.next
      } while position != nil
    }
    return highest
  }

  private static func makeUnlessThere(
    _ path: String, _ files: any FileSystem, cluster: ClusterID, store: StoreID
  ) throws(ChunkStoreError) {
    let description = DiskPath(path, kind: "store directory")
      .appending("store.json", kind: "store description")
    do throws(DiskError) {
      _ = try files.status(description)
      return
    } catch {
      guard error.code == .notFound else { throw .io("\(error)") }
    }
    try LocalChunkStore.create(
      directory: path, fileSystem: files, cluster: cluster, store: store)
  }

  /// The ids of the stores in order, made on first start.
  private static func storeIDs(
    _ count: Int, _ metadata: any MetadataStore, _ random: any RandomSource
  ) async throws -> [StoreID] {
    if let bytes = try await metadata.setting("stores") {
      let ids = stride(from: 0, to: bytes.count, by: 16).compactMap {
        StoreID(bytes: bytes[$0..<min($0 + 16, bytes.count)])
      }
      guard ids.count * 16 == bytes.count else {
        throw StartError("the metadata holds no valid store ids")
      }
      guard ids.count == count else {
        throw StartError(
          "this installation has \(ids.count) stores, \(count) directories are given")
      }
      return ids
    }
    let ids = (0..<count).map { _ in StoreID(high: random.next(), low: random.next()) }
    try await metadata.setSetting("stores", ids.flatMap(\.bytes))
    return ids
  }
}
