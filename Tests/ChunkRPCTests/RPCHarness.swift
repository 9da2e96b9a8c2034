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
  static let cluster = SampleChunk.cluster
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
  port: Int = 0, _ body: (ChunkRPCServer) async throws -> R
) async throws -> R {
  let server = try ChunkRPCServer(
    stores: stores, server: Sample.server, cluster: Sample.cluster, version: "test",
    address: address, port: port, security: security, pool: blockingPool, buffers: buffers,
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
