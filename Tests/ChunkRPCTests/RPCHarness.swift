import Base
import ChunkRPC
import ChunkStore
import Disk
import Erasure
import GRPC
import Runtime
import Telemetry
import TestSupport
import Testing

/// Threads that may block, for all tests of this module.
let blockingPool = ThreadPool(name: "rpc-test", threadCount: 8)

/// What the tests' server and client are.
enum Sample {
  static let cluster = ClusterID(high: 0x0c1, low: 0x0c2)
  static let storeID = StoreID(high: 0x0a1, low: 0x0a2)
  static let server = ServerID(high: 0x5e, low: 0x11)
  static let secret = "a secret of the tests, none other"
    .replacing(" ", with: "-")

  /// A store with small volumes in memory.
  static func store(
    _ fileSystem: any FileSystem = LossyFileSystem(), id: StoreID = storeID,
    reserve: Int = 0
  ) throws -> LocalChunkStore {
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = reserve
    options.volumeSize = ByteCount.mebibyte
    try LocalChunkStore.create(
      directory: "/store", fileSystem: fileSystem, cluster: cluster, store: id)
    return try LocalChunkStore.open(
      directory: "/store", fileSystem: fileSystem, cluster: cluster, options: options)
  }
}

/// Runs a server of `stores` while `body` runs.
func withServer<R: Sendable>(
  _ stores: [any ChunkStore], security: ChunkRPCSecurity = .sharedSecret(Sample.secret),
  buffers: BufferPool = BufferPool(limit: 64 << 20, cacheLimit: 8 << 20),
  settings: ChunkRPCServer.Settings = ChunkRPCServer.Settings(), address: String = "127.0.0.1",
  _ body: (ChunkRPCServer) async throws -> R
) async throws -> R {
  let server = try ChunkRPCServer(
    stores: stores, server: Sample.server, cluster: Sample.cluster, version: "test",
    address: address, port: 0, security: security, pool: blockingPool, buffers: buffers,
    settings: settings)
  return try await withThrowingTaskGroup(of: Void.self) { group in
    group.addTask(executorPreference: blockingPool) { try await server.run() }
    let result: Result<R, any Error>
    do { result = .success(try await body(server)) } catch { result = .failure(error) }
    server.beginShutdown(deadline: .zero)
    try await group.waitForAll()
    return try result.get()
  }
}

extension ChunkRPCClient.Settings {
  /// For tests that are not about time: what ends at all ends well, however busy the machine is.
  static var patient: Self {
    var settings = Self()
    settings.connectTimeout = .seconds(120)
    settings.healthTimeout = .seconds(120)
    settings.openTimeout = .seconds(120)
    settings.readTimeout = .seconds(120)
    settings.writeTimeout = .seconds(120)
    settings.finishTimeout = .seconds(120)
    settings.listTimeout = .seconds(120)
    return settings
  }
}

/// Runs a server of `stores` and a connection to it while `body` runs.
func withConnection<R: Sendable>(
  _ stores: [any ChunkStore], settings: ChunkRPCClient.Settings = .patient,
  _ body: (any StorageServerConnection) async throws -> R
) async throws -> R {
  try await withServer(stores) { server in
    let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: settings)
    let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
    let result: Result<R, any Error>
    do { result = .success(try await body(connection)) } catch { result = .failure(error) }
    await connection.close()
    return try result.get()
  }
}

/// A chunk whose bytes follow from its number and its length (a multiple of 64).
struct SampleChunk: Hashable, Sendable {
  var id: ChunkID
  var length: Int

  init(_ number: UInt64, length: Int) {
    id = ChunkID(
      extent: ExtentID(epoch: 7, random: (UInt16(truncatingIfNeeded: number), number &* 977)),
      index: UInt8(number % 6))
    self.length = length
  }

  var header: ChunkHeader {
    ChunkHeader(id: id, scheme: .standard, cluster: Sample.cluster)
  }

  var bytes: [UInt8] {
    let seed = id.extent.low &* 31 &+ UInt64(length)
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
      descriptor: Array("descriptor".utf8))
  }

  /// Writes the chunk the way its length asks for.
  func put(
    to store: any ChunkStore, space: ChunkSpace = .free
  ) async throws(ChunkStoreError) {
    if length <= ChunkLimits.smallDataLength {
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
    position = page.next
  } while position != nil
  return result
}
