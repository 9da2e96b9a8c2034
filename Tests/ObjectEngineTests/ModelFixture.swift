import Base
import ChunkStore
import Disk
import Erasure
import Foundation
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization
import TestSupport

/// A chunk store that can be taken away and put back.
final class SwitchableStore: ChunkStore {
  let local: LocalChunkStore
  private let away = Mutex(false)

  init(_ local: LocalChunkStore) { self.local = local }

  var id: StoreID { local.id }

  func setAway(_ isAway: Bool) { away.withLock { $0 = isAway } }

  private func require() throws(ChunkStoreError) {
    if away.withLock({ $0 }) { throw .offline("taken away") }
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try require()
    try await local.putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try require()
    return try await local.beginChunk(header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try require()
    return try await local.openChunk(id)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try require()
    try await local.delete(ids)
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try require()
    return try await local.stat(id)
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    try require()
    try await local.verify(id)
  }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try require()
    return try await local.list(from: position, limit: limit)
  }

  func health() async -> StoreHealth {
    if away.withLock({ $0 }) {
      return await UnavailableChunkStore(id: id, reason: "taken away").health()
    }
    return await local.health()
  }
}

/// The engine over SQLite and six local stores in one directory, as one process would have it.
struct ModelNode {
  static let pool = ThreadPool(name: "model-io", threadCount: 4)
  private static let cluster = ClusterID(high: 7, low: 7)
  private static let keys = KeyRing(cluster: cluster, random: SystemRandom().bytes)
  private static let storeIDs = (1...6).map { StoreID(high: 0x5354_4f52, low: UInt64($0)) }

  let directory: TemporaryDirectory
  let metadata: SQLiteMetadata
  let stores: [SwitchableStore]
  let engine: ObjectEngine

  /// Opens what lies in `directory`, or makes it. Nothing is synced: no test here cuts the power.
  static func open(
    _ directory: TemporaryDirectory = TemporaryDirectory(), bufferLimit: Int = 64 << 20
  ) async throws -> ModelNode {
    let random = SystemRandom()
    let files = SystemFileSystem(unsafeSkipsSyncs: true)
    var options = SQLiteOptions()
    options.synchronous = .off
    let metadata = try await SQLiteMetadata.open(
      path: directory.path + "/metadata.sqlite", random: random, pool: pool, options: options)
    var storeOptions = LocalChunkStoreOptions()
    storeOptions.reserveBytes = 0
    storeOptions.reserveFraction = 0
    let settings = storeOptions
    let stores = try await pool.run {
      try storeIDs.map { id in
        let path = "\(directory.path)/store-\(id.low)"
        if !FileManager.default.fileExists(atPath: path) {
          try LocalChunkStore.create(
            directory: path, fileSystem: files, cluster: cluster, store: id)
        }
        return SwitchableStore(
          try LocalChunkStore.open(
            directory: path, fileSystem: files, cluster: cluster, store: id, options: settings))
      }
    }
    let lease = try await metadata.store.beginWriter(minimum: 0, ringVersion: 1)
    let scheme = ErasureScheme.standard
    let engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: scheme), metadata: metadata.store,
      stores: StoreSet(
        stores: stores,
        ring: PlacementRing(
          nodes: storeIDs.map { PlacementNode(id: $0, server: "s\($0.low)", zone: "") },
          width: scheme.total)),
      keys: keys, buffers: BufferPool(limit: bufferLimit, cacheLimit: bufferLimit), pool: pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: cluster,
      clock: SystemWallClock(), random: random, log: .none)
    return ModelNode(directory: directory, metadata: metadata, stores: stores, engine: engine)
  }

  var store: SQLMetadataStore { metadata.store }

  /// Ends it in order.
  func close() async {
    await withTaskExecutorPreference(Self.pool) {
      for store in stores { await store.local.shutdown() }
    }
    await metadata.close()
  }

  /// What a process that is killed now leaves behind: the files as they are at this moment.
  ///
  /// Nothing may be under way. The log of the database is copied before the database, so that a
  /// checkpoint in between loses nothing.
  func snapshot() throws -> TemporaryDirectory {
    let copy = TemporaryDirectory()
    let files = FileManager.default
    let names = try files.contentsOfDirectory(atPath: directory.path)
    let isLog = { (name: String) in name.hasSuffix("-wal") }
    for name in names.filter(isLog) + names.filter({ !isLog($0) && !$0.hasSuffix("-shm") }) {
      try files.copyItem(atPath: "\(directory.path)/\(name)", toPath: "\(copy.path)/\(name)")
    }
    return copy
  }

  /// Every chunk in the stores that are there, by extent.
  func chunks() async throws -> [ExtentID: Int] {
    var result: [ExtentID: Int] = [:]
    for store in stores {
      var position: ChunkListPosition?
      repeat {
        let from = position
        let page = try await withTaskExecutorPreference(Self.pool) {
          try await store.local.list(from: from, limit: 1000)
        }
        for chunk in page.chunks { result[chunk.extent, default: 0] += 1 }
        position = page.next
      } while position != nil
    }
    return result
  }

  /// Files that were begun and not ended.
  func unfinishedFiles() throws -> [String] {
    try stores.indices.flatMap { index in
      let path = "\(directory.path)/store-\(index + 1)"
      return try FileManager.default.contentsOfDirectory(atPath: path)
        .filter { $0.hasPrefix("un") || $0 == "tmp" }
        .flatMap { try FileManager.default.contentsOfDirectory(atPath: "\(path)/\($0)") }
    }
  }
}
