import Base
import ChunkStore
import Disk
import Erasure
import Runtime
import TestSupport
import Testing

/// Threads that may block, for all tests of this module.
let blockingPool = ThreadPool(name: "store-test", threadCount: 8)

/// One store directory on some file system, and what tests do with it.
struct StoreHarness: Sendable {
  static let cluster = SampleChunk.cluster
  static let storeID = StoreID(high: 0x0a1, low: 0x0a2)

  var fileSystem: any FileSystem
  var directory: String
  var options: LocalChunkStoreOptions

  init(
    _ fileSystem: any FileSystem, directory: String = "/store",
    options: LocalChunkStoreOptions = StoreHarness.smallOptions
  ) {
    self.fileSystem = fileSystem
    self.directory = directory
    self.options = options
  }

  /// Small volumes and frequent checkpoints, no reserve.
  static var smallOptions: LocalChunkStoreOptions {
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = 0
    options.volumeSize = ByteCount.mebibyte
    options.batchSize = 256 * ByteCount.kibibyte
    options.checkpointInterval = 256 * ByteCount.kibibyte
    return options
  }

  func create() throws {
    try LocalChunkStore.create(
      directory: directory, fileSystem: fileSystem, cluster: Self.cluster, store: Self.storeID)
  }

  func open() throws -> LocalChunkStore {
    try LocalChunkStore.open(
      directory: directory, fileSystem: fileSystem, cluster: Self.cluster, options: options)
  }

  func createAndOpen() throws -> LocalChunkStore {
    try create()
    return try open()
  }
}
