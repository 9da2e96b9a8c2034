import Access
import Base
import ChunkStore
import Disk
import Erasure
import HTTPServer
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import S3API
import Sealing
import Signing
import Synchronization
import Telemetry
import TestSupport
import Testing

/// The S3 API over a real HTTP server, the real engine, SQLite and six local stores.
struct S3Fixture: Sendable {
  private static let pool = ThreadPool(name: "s3-io", threadCount: 4)
  private static let keys = KeyRing(
    cluster: ClusterID(high: 5, low: 5), random: SystemRandom().bytes)

  let directory = TemporaryDirectory()
  let clock = ManualClock(seconds: 1_800_000_000)
  let metadata: SQLiteMetadata
  let stores: [LocalChunkStore]
  let engine: ObjectEngine
  let access: AccessControl
  let server: HTTPServer
  let port: UInt16

  private init() async throws {
    let random = SystemRandom()
    let pool = Self.pool
    let cluster = Self.keys.cluster
    let path = directory.path
    var options = SQLiteOptions()
    options.synchronous = .off
    metadata = try await SQLiteMetadata.open(
      path: path + "/metadata.sqlite", clock: clock, random: random, pool: pool, options: options)
    let files = SystemFileSystem(unsafeSkipsSyncs: true)
    var storeOptions = LocalChunkStoreOptions()
    storeOptions.reserveBytes = 0
    storeOptions.reserveFraction = 0
    let settings = storeOptions
    stores = try await pool.run {
      try (1...6).map { number in
        let id = StoreID(high: 1, low: UInt64(number))
        try LocalChunkStore.create(
          directory: "\(path)/\(number)", fileSystem: files, cluster: cluster, store: id)
        return try LocalChunkStore.open(
          directory: "\(path)/\(number)", fileSystem: files, cluster: cluster, store: id,
          options: settings)
      }
    }
    let lease = try await metadata.store.beginWriter(minimum: 0, ringVersion: 1)
    let scheme = ErasureScheme.standard
    engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: scheme), metadata: metadata.store,
      stores: StoreSet(
        stores: stores,
        ring: PlacementRing(
          nodes: stores.map { PlacementNode(id: $0.id, server: "s\($0.id.low)", zone: "") },
          width: scheme.total)),
      keys: Self.keys, buffers: BufferPool(limit: 64 << 20, cacheLimit: 16 << 20), pool: pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: cluster,
      clock: clock, random: random, log: .none)
    access = AccessControl(
      metadata: metadata.store, keys: Self.keys, clock: clock, random: random)
    let service = S3Service(
      engine: engine, access: access, region: "eu-test-1", domains: ["s3.test"], clock: clock,
      random: random, log: .none)
    server = try HTTPServer(
      listeners: [
        HTTPListener(
          address: "127.0.0.1", port: 0, errorBody: { S3Service.protocolErrorBody($0, $1) }
        ) { await service.handle($0) }
      ], threads: 2)
    port = try #require(server.addresses.first).port
  }

  /// Serves for as long as `body` runs; nothing may be left over then.
  static func serving(
    _ body: @escaping @Sendable (S3Fixture, S3Client) async throws -> Void
  ) async throws {
    let fixture = try await S3Fixture()
    let client = try await fixture.client("alice")
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await fixture.server.run() }
      do {
        try await body(fixture, client)
      } catch {
        fixture.server.beginShutdown(deadline: .zero)
        throw error
      }
      fixture.server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
    #expect(fixture.server.statistics.openConnections == 0)
    try await eventually { fixture.engine.buffers.used == 0 }
    #expect(fixture.engine.reads.oldest == nil)
    try await fixture.expectNoStrayChunks()
    await withTaskExecutorPreference(pool) {
      for store in fixture.stores { await store.shutdown() }
    }
    await fixture.metadata.close()
  }

  /// A new user with a key of her own.
  func client(_ name: String, role: User.Role = .user) async throws -> S3Client {
    _ = try await access.createUser(name: name, role: role)
    let key = try await access.createKey(user: name)
    return S3Client(port: port, accessKey: key.id, secret: key.secret, clock: clock)
  }

  /// Objects of all buckets, by count.
  func objectCount() async throws -> Int64 { try await metadata.store.counts().objects }

  /// Every chunk in the stores belongs to a version, a part or a tombstone.
  private func expectNoStrayChunks() async throws {
    var extents: Set<ExtentID> = []
    for store in stores {
      let page = try await withTaskExecutorPreference(Self.pool) {
        try await store.list(from: nil, limit: 100_000)
      }
      extents.formUnion(page.chunks.map(\.extent))
    }
    let named = try await metadata.store.named(among: Array(extents))
    #expect(extents.subtracting(named).isEmpty, "chunks that nothing names")
  }
}
