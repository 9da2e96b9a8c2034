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
  let stores: LocalStores
  private let pool: ThreadPool

  /// Opens the stores that the metadata knows by their ids; a first start makes them.
  static func open(
    _ directories: [String], metadata: any MetadataStore, random: any RandomSource,
    _ settings: LocalStores.Settings
  ) async throws -> EmbeddedStores {
    let ids = try await storeIDs(directories.count, metadata, random)
    let isReady = try await metadata.setting("stores_ready") != nil
    let files = settings.files
    let arranged = await settings.pool.run {
      LocalStores.arrange(directories, ids, files)
    }
    let stores = try await LocalStores.open(
      zip(arranged, ids).map {
        LocalStores.Place(directory: $0, id: $1, mayMake: !isReady)
      }, settings)
    if !isReady { try await metadata.setSetting("stores_ready", [1]) }
    let nodes = ids.enumerated().map { PlacementNode(id: $1, server: "store-\($0)") }
    let set = StoreSet(
      stores: stores.all, ring: PlacementRing(nodes: nodes, width: stores.all.count))
    let pool = settings.pool
    _ = await withTaskExecutorPreference(pool) { await set.refresh() }
    return EmbeddedStores(set: set, stores: stores, pool: pool)
  }

  /// The highest epoch of any chunk. Reads all names: for a start after a restore only.
  func highestEpoch() async throws -> UInt64 {
    var highest: UInt64 = 0
    for store in stores.local where store.isPresent {
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
