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
  static let cluster = ClusterID(high: 0x0c1, low: 0x0c2)
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

/// A chunk whose bytes follow from its name, its length (a multiple of 64) and a generation.
struct SampleChunk: Hashable, Sendable {
  var id: ChunkID
  var length: Int
  var generation: UInt64

  init(_ number: UInt64, length: Int, generation: UInt64 = 0, epoch: UInt64 = 7) {
    id = ChunkID(
      extent: ExtentID(epoch: epoch, random: (UInt16(truncatingIfNeeded: number), number &* 977)),
      index: UInt8(number % 6))
    self.length = length
    self.generation = generation
  }

  var header: ChunkHeader {
    ChunkHeader(id: id, scheme: .standard, cluster: StoreHarness.cluster)
  }

  var bytes: [UInt8] {
    let seed = id.extent.low &* 31 &+ generation &* 1_000_003 &+ UInt64(length)
    return Array(unsafeUninitializedCapacity: length) { buffer, count in
      UnsafeMutableRawBufferPointer(buffer).withMemoryRebound(to: UInt64.self) { words in
        for index in words.indices {
          words[index] = (seed &+ UInt64(index)) &* 0x9e37_79b9_7f4a_7c15
        }
      }
      count = length
    }
  }

  func buffer() -> AlignedBuffer {
    let buffer = AlignedBuffer(count: max(length, 1))
    buffer.copy(bytes)
    return buffer
  }

  var trailer: ChunkTrailer {
    let digester = ChunkDigester(id: id)
    bytes.withUnsafeBytes { digester.append($0) }
    return digester.finish(
      extentLength: length * 4, storedLength: length * 4, wrappedKey: Array("key".utf8),
      descriptor: Array("descriptor \(generation)".utf8))
  }

  var isSmall: Bool { length <= ChunkLimits.smallDataLength }

  /// Writes the chunk the way its length asks for.
  func put(
    to store: any ChunkStore, space: ChunkSpace = .free
  ) async throws(ChunkStoreError) {
    if isSmall {
      try await store.putSmall(
        header, data: buffer(), range: 0..<length, trailer: trailer, space: space)
      return
    }
    let writer = try await store.beginChunk(header)
    do throws(ChunkStoreError) {
      let buffer = buffer()
      for start in stride(from: 0, to: length, by: 262_144) {
        try await writer.append(buffer, start..<min(start + 262_144, length))
      }
      try await writer.finish(trailer)
    } catch {
      await writer.abort()
      throw error
    }
  }
}

/// All of a chunk's bytes.
func readAll(_ id: ChunkID, from store: any ChunkStore) async throws(ChunkStoreError) -> [UInt8] {
  let reader = try await store.openChunk(id)
  let length = reader.trailer.dataLength
  let buffer = AlignedBuffer(count: max(length, 1))
  try await reader.read(0..<length, into: buffer, at: 0)
  reader.close()
  return buffer.bytes(0..<length)
}

/// What an operation threw.
func failure<R>(of body: () async throws -> R) async -> ChunkStoreError? {
  do {
    _ = try await body()
    return nil
  } catch {
    return error as? ChunkStoreError
  }
}

/// All names of a store, page by page.
func listAll(_ store: any ChunkStore, limit: Int = 7) async throws -> [ChunkID] {
  var result: [ChunkID] = []
  var position: ChunkListPosition?
  repeat {
    let page = try await store.list(from: position, limit: limit)
    result += page.chunks
    position = try page.next.map { try ChunkListPosition(bytes: $0.bytes) }
  } while position != nil
  return result
}
