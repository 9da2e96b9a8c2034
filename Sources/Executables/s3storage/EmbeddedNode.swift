import Access
import Base
import ChunkStore
import Cluster
import Disk
import Erasure
import HTTPServer
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Recovery
import Runtime
import SQLite
import Sealing
import Telemetry

/// The object graph of `serve`.
struct EmbeddedNode: Sendable {
  let engine: ObjectEngine
  let access: AccessControl
  let metadata: SQLiteMetadata
  let stores: EmbeddedStores
  let keys: Keys
  let directory: DataDirectory
  let work: BackgroundWork
  let recovery: MetadataRecovery
  let rootKeys: NewAccessKey?
  let draining = Draining()
  let log: Log

  static func open(_ configuration: Configuration, log: Log) async throws -> EmbeddedNode {
    let clock = SystemWallClock()
    let random = SystemRandom()
    let scheme = try ErasureScheme(text: configuration["ERASURE_SCHEME"])
    let skipsSyncs = configuration.number("S3STORAGE_UNSAFE_NO_FSYNC") == 1
    if skipsSyncs {
      log.error("UNSAFE: nothing is synced; acknowledged data is lost at a power cut")
    }
    let files = SystemFileSystem(unsafeSkipsSyncs: skipsSyncs)
    let directory = try DataDirectory(configuration, files: files, storeCount: scheme.total)
    var options = SQLiteOptions()
    if skipsSyncs { options.synchronous = .off }
    let metadata = try await SQLiteMetadata.open(
      path: directory.database, clock: clock, random: random,
      pool: ThreadPool(name: "sql", threadCount: 2), options: options, log: log)
    let cluster = try await clusterID(metadata, random)
    let keys = try await Keys.open(
      directory, metadata: metadata.store, cluster: cluster, random: random, clock: clock, log: log)
    let pool = ThreadPool(name: "io", threadCount: configuration.number("IO_THREADS"))
    let stores = try await EmbeddedStores.open(
      directory, configuration, cluster: cluster, metadata: metadata.store, pool: pool,
      random: random, log: log)
    let lease = try await beginWriter(metadata, stores)
    let budget = configuration.number("BUFFER_BUDGET")
    let engine = ObjectEngine(
      configuration: EngineConfiguration(
        scheme: scheme, inlineLimit: configuration.number("INLINE_LIMIT")),
      metadata: metadata.store, stores: stores.set, keys: keys.ring,
      buffers: BufferPool(limit: budget, cacheLimit: budget), pool: pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: cluster, clock: clock,
      random: random, log: log)
    let access = AccessControl(
      metadata: metadata.store, keys: keys.ring, clock: clock, random: random)
    let recovery = try await EmbeddedRecovery.start(
      engine, metadata.store, directory, configuration, log: log)
    return EmbeddedNode(
      engine: engine, access: access, metadata: metadata, stores: stores, keys: keys,
      directory: directory, work: backgroundWork(engine, recovery, configuration, log),
      recovery: recovery,
      rootKeys: try await rootKeys(access, configuration), log: log)
  }

  private static func backgroundWork(
    _ engine: ObjectEngine, _ recovery: MetadataRecovery, _ configuration: Configuration,
    _ log: Log
  ) -> BackgroundWork {
    var settings = BackgroundConfiguration()
    settings.deletionDelay = .seconds(configuration.number("GC_DELAY_SECONDS"))
    let days = configuration.number("SCRUB_DAYS")
    settings.scrubPeriod = days == 0 ? nil : .seconds(days * 86_400)
    settings.cleanupInterval = .seconds(configuration.number("CLEANUP_SECONDS"))
    settings.sessionIdle = .seconds(configuration.number("UPLOAD_SESSION_SECONDS"))
    let pool = ThreadPool(name: "background", threadCount: 4)
    return BackgroundWork(
      engine: engine, configuration: settings, others: RecoveryWorker.all(recovery), pool: pool,
      log: log)
  }

  /// The setting that a restore of the metadata leaves for the next start.
  static let restoredSetting = "restored"

  /// Begins the writer of this process.
  ///
  /// Metadata that was restored does not know the epochs of writers after its backup. An epoch of
  /// theirs must not be given again: chunks that carry it would be swept as if they were ours.
  private static func beginWriter(
    _ metadata: SQLiteMetadata, _ stores: EmbeddedStores
  ) async throws -> WriterLease {
    guard try await metadata.store.setting(restoredSetting) == [1] else {
      return try await metadata.store.beginWriter(minimum: 0, ringVersion: 1)
    }
    let highest = try await stores.highestEpoch()
    let lease = try await metadata.store.beginWriter(minimum: highest, ringVersion: 1)
    try await metadata.store.setSetting(restoredSetting, [0])
    return lease
  }

  /// The installation's id, made on first start.
  private static func clusterID(
    _ metadata: SQLiteMetadata, _ random: any RandomSource
  ) async throws -> ClusterID {
    if let bytes = try await metadata.store.setting("cluster_id") {
      guard let id = ClusterID(bytes: bytes) else {
        throw StartError("the metadata holds no valid cluster id")
      }
      return id
    }
    let id = ClusterID(high: random.next(), low: random.next())
    try await metadata.store.setSetting("cluster_id", id.bytes)
    return id
  }

  private static func rootKeys(
    _ access: AccessControl, _ configuration: Configuration
  ) async throws -> NewAccessKey? {
    let id = configuration["ROOT_ACCESS_KEY"]
    let secret = configuration["ROOT_SECRET_KEY"]
    guard id.isEmpty == secret.isEmpty else {
      throw StartError("ROOT_ACCESS_KEY and ROOT_SECRET_KEY are set together or not at all")
    }
    return try await access.ensureRoot(preset: id.isEmpty ? nil : (id, secret))
  }

  /// Runs what the stores do in the background, until `shutDown`.
  func runStores() async { await stores.run() }

  /// Runs the background workers, until cancelled.
  func runWorkers() async { await work.supervisor.run() }

  /// Ends the writer and the stores once no request runs any more.
  func shutDown() async {
    await recovery.stop()
    await stores.shutDown()
    await metadata.close()
  }
}
