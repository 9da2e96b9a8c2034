import Access
import AdminAPI
import Base
import ChunkRPC
import ChunkStore
import Cluster
import Erasure
import Metadata
import MetadataPostgres
import ObjectEngine
import Placement
import Redis
import RedisCache
import Runtime
import Telemetry

/// The object graph of `gateway`: metadata in PostgreSQL, stores behind storage servers.
struct ClusterNode: GatewayNode {
  let gateway: Gateway
  private let installation: ClusterInstallation
  private let poll: MemberPoll

  static func open(_ configuration: Configuration, log: Log) async throws -> ClusterNode {
    let clock = SystemWallClock()
    let random = SystemRandom()
    let scheme = try ErasureScheme(text: configuration["ERASURE_SCHEME"])
    let installation = try await ClusterInstallation.open(configuration, log: log)
    let metadata = installation.metadata.store
    let stores = StoreSet(
      stores: [], ring: PlacementRing(nodes: [], width: scheme.total), ringVersion: 0)
    let lease = try await metadata.beginWriter(
      minimum: 0, ringVersion: 0, lease: .seconds(configuration.number("LEASE_SECONDS")))
    let pool = ThreadPool(name: "io", threadCount: configuration.number("IO_THREADS"))
    let budget = configuration.number("BUFFER_BUDGET")
    let engine = ObjectEngine(
      configuration: EngineConfiguration(
        scheme: scheme, inlineLimit: configuration.number("INLINE_LIMIT")),
      metadata: metadata, stores: stores, keys: installation.keys.ring,
      buffers: BufferPool(limit: budget, cacheLimit: budget), pool: pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: installation.id,
      clock: clock, random: random, log: log,
      extentCache: try extentCache(configuration, installation, random, log))
    let access = AccessControl(
      metadata: metadata, keys: installation.keys.ring, clock: clock, random: random)
    let client = ChunkRPCClient(security: try security(configuration))
    let gateway = Gateway(
      engine: engine, access: access, keys: installation.keys, masterKey: installation.masterKey,
      work: BackgroundWork(
        engine: engine, configuration: Gateway.background(configuration),
        pool: ThreadPool(name: "background", threadCount: 4), log: log),
      rootKeys: try await Gateway.rootKeys(access, configuration),
      installation: ClusterDescription(started: clock.now, metadata: metadata), backups: nil,
      log: log)
    return ClusterNode(
      gateway: gateway, installation: installation,
      poll: MemberPoll(metadata: metadata, client: client, stores: stores, width: scheme.total))
  }

  private static func security(_ configuration: Configuration) throws -> ChunkRPCSecurity {
    let secret = configuration["CLUSTER_SECRET"]
    guard !secret.isEmpty else { throw StartError("CLUSTER_SECRET is not set") }
    return .sharedSecret(secret)
  }

  private static func extentCache(
    _ configuration: Configuration, _ installation: ClusterInstallation,
    _ random: any RandomSource, _ log: Log
  ) throws -> ExtentCache? {
    let url = configuration["REDIS_URL"]
    guard !url.isEmpty else { return nil }
    let cache = RedisCache(
      address: try RedisAddress(url), prefix: "s3storage/\(installation.id)/",
      pool: ThreadPool(name: "redis", threadCount: 4), log: log)
    return ExtentCache(cache: cache, keys: installation.keys.ring, random: random)
  }

  func runBeside() async { await poll.run() }

  func shutDown() async {
    try? await installation.metadata.store.endWriter()
    await installation.metadata.close()
  }
}
