import Access
import Base
import ChunkStore
import Erasure
import FilesAPI
import HTTPServer
import Metadata
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization
import Telemetry
import TestSupport
import Testing

/// The Files API over a real HTTP server and engine, with metadata and stores in memory.
struct FilesFixture: Sendable {
  let metadata = FakeMetadata()
  let stores: [MemoryChunkStore]
  let engine: ObjectEngine
  let access: AccessControl
  let clock = ManualClock(seconds: start)
  let health = HealthSwitch()
  let service: FilesService
  let server: HTTPServer
  let port: UInt16

  /// Seconds of the clock at the start of every test.
  static let start: Int64 = 1_800_000_000

  init(_ change: (inout FilesConfiguration) -> Void = { _ in }) throws {
    stores = (0..<6).map { MemoryChunkStore($0) }
    let random = SystemRandom()
    let scheme = ErasureScheme.standard
    let cluster = ClusterID(high: 1, low: 2)
    let keys = KeyRing(cluster: cluster, random: random.bytes)
    let pool = ThreadPool(name: "test-io", threadCount: 4)
    engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: scheme), metadata: metadata,
      stores: StoreSet(
        stores: stores,
        ring: PlacementRing(
          nodes: stores.map { PlacementNode(id: $0.id, server: "local", zone: "") },
          width: scheme.total)),
      keys: keys, buffers: BufferPool(limit: 64 << 20, cacheLimit: 16 << 20), pool: pool,
      writer: WriterIdentity(epoch: 3, random: random), clusterID: cluster, clock: clock,
      random: random, log: .none)
    access = AccessControl(metadata: metadata, keys: keys, clock: clock, random: random)
    var configuration = FilesConfiguration(version: "test")
    change(&configuration)
    let service = FilesService(
      engine: engine, access: access, configuration: configuration, random: random, log: .none
    ) { [health] in health.value }
    self.service = service
    server = try HTTPServer(
      listeners: [
        HTTPListener(
          address: "127.0.0.1", port: 0,
          errorBody: { FilesService.errorBody(status: $0, reason: $1) },
          handler: { try await service.handle($0) })
      ], threads: 2)
    port = try #require(server.addresses.first).port
  }

  /// Makes a user with a key and returns the bearer token.
  func user(_ name: String, role: User.Role = .user) async throws -> String {
    _ = try await access.createUser(name: name, role: role)
    let key = try await access.createKey(user: name)
    return "\(key.id):\(key.secret)"
  }

  /// Serves for as long as `body` runs; every connection must have ended in order then.
  func serving(_ body: @escaping @Sendable () async throws -> Void) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      do {
        try await body()
      } catch {
        server.beginShutdown(deadline: .zero)
        throw error
      }
      server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
    #expect(server.statistics.openConnections == 0)
    try await eventually { engine.buffers.used == 0 }
  }

  /// Chunks in all stores.
  var chunkCount: Int { stores.reduce(0) { $0 + $1.chunkCount } }
}

/// What `/health` is to tell.
final class HealthSwitch: Sendable {
  private let state = Mutex(ServiceHealth.ready)
  var value: ServiceHealth { state.withLock { $0 } }
  func set(_ value: ServiceHealth) { state.withLock { $0 = value } }
}
