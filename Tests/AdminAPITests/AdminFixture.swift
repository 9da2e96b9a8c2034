import Access
import AdminAPI
import Base
import ChunkStore
import Crypto
import Erasure
import Metadata
import ObjectEngine
import Placement
import Runtime
import Sealing
import Telemetry
import Trust

/// The Admin API with everything below it in memory.
struct AdminFixture: Sendable {
  let metadata = FakeMetadata()
  let process = FakeProcess()
  let site: AdminSite

  /// `isWhole` says whether the process has scrub, workers, backups and a master key.
  init(isWhole: Bool = true, enrolment: EnrolmentService? = nil) throws {
    let stores = (0..<6).map { MemoryChunkStore($0) }
    process.stores = stores.map(\.id)
    let random = SystemRandom()
    let scheme = ErasureScheme.standard
    let cluster = ClusterID(high: 1, low: 2)
    let keys = KeyRing(cluster: cluster, random: random.bytes)
    let clock = SystemWallClock()
    let engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: scheme), metadata: metadata,
      stores: StoreSet(
        stores: stores,
        ring: PlacementRing(
          nodes: stores.map { PlacementNode(id: $0.id, server: "local", zone: "") },
          width: scheme.total)),
      keys: keys, buffers: BufferPool(limit: 1 << 20, cacheLimit: 1 << 20),
      pool: ThreadPool(name: "test-io", threadCount: 2),
      writer: WriterIdentity(epoch: 3, random: random), clusterID: cluster, clock: clock,
      random: random, log: .none)
    var providers = AdminProviders(
      installation: process, scrubbing: isWhole ? process : nil,
      workers: isWhole ? process : nil, backups: isWhole ? process : nil,
      masterKey: isWhole ? process : nil)
    providers.enrolment = enrolment
    site = try AdminSite(engine, providers)
  }

  var access: AccessControl { site.access }
  var port: UInt16 { site.port }

  /// Makes a user with a key.
  func user(_ name: String, role: User.Role) async throws -> NewAccessKey {
    try await site.user(name, role: role)
  }

  /// Serves for as long as `body` runs, which gets a client of an administrator.
  func serving(
    _ body: @escaping @Sendable (AdminTestClient) async throws -> Void
  ) async throws {
    try await site.serving(body)
  }
}
