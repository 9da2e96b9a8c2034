import Access
import Base
import ChunkStore
import Cluster
import Disk
import Erasure
import Metadata
import MetadataSQLite
import ObjectEngine
import Recovery
import Runtime
import SQLite
import Sealing
import Telemetry

/// The object graph of `serve`: gateway, stores and metadata in one process.
struct EmbeddedNode: GatewayNode {
  let gateway: Gateway
  private let metadata: SQLiteMetadata
  private let stores: EmbeddedStores
  private let directory: DataDirectory
  private let returned: ReturnedStoreWorker

  static func open(_ configuration: Configuration, log: Log) async throws -> EmbeddedNode {
    let clock = SystemWallClock()
    let random = SystemRandom()
    let scheme = try ErasureScheme(text: configuration["ERASURE_SCHEME"])
    let files = SystemFileSystem(unsafeSkipsSyncs: UnsafeSyncs.areSkipped(configuration, log))
    let directory = try DataDirectory(configuration, files: files, storeCount: scheme.total)
    let metadata = try await openMetadata(directory, configuration, log)
    let cluster = try await clusterID(metadata, random)
    let masterKey = MasterKeyFile(directory.masterKey, files: files)
    let keys = try await Keys.open(
      masterKey, metadata: metadata.store, cluster: cluster, random: random, clock: clock,
      log: log)
    let pool = ThreadPool(name: "io", threadCount: configuration.number("IO_THREADS"))
    let stores = try await EmbeddedStores.open(
      directory.stores, metadata: metadata.store, random: random,
      LocalStores.Settings(configuration, files: files, cluster: cluster, pool: pool, log: log))
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
    let backups = MetadataBackups(
      metadata: metadata.store, files: files, directory: directory.metadata, pool: pool,
      random: random)
    try backups.removeLeftovers()
    let recovery = try await GatewayRecovery.start(
      engine, metadata.store, embedded: directory, configuration, log: log)
    let returned = ReturnedStoreWorker(engine: engine, metadata: metadata.store, log: log)
    let gateway = Gateway(
      engine: engine, access: access, keys: keys, masterKey: masterKey,
      work: BackgroundWork(
        engine: engine, configuration: Gateway.background(configuration),
        others: RecoveryWorker.own(recovery) + RecoveryWorker.led(recovery) + [returned],
        pool: ThreadPool(name: "background", threadCount: 4), log: log),
      recovery: recovery,
      rootKeys: try await Gateway.rootKeys(access, configuration),
      installation: EmbeddedInstallation(
        started: clock.now, directory: directory, stores: stores.set.all.map(\.id)),
      backups: backups, log: log)
    return EmbeddedNode(
      gateway: gateway, metadata: metadata, stores: stores, directory: directory,
      returned: returned)
  }

  private static func openMetadata(
    _ directory: DataDirectory, _ configuration: Configuration, _ log: Log
  ) async throws -> SQLiteMetadata {
    var options = SQLiteOptions()
    if configuration.number(UnsafeSyncs.setting) == 1 { options.synchronous = .off }
    return try await SQLiteMetadata.open(
      path: directory.database, clock: SystemWallClock(), random: SystemRandom(),
      pool: ThreadPool(name: "sql", threadCount: 2), options: options, log: log)
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
    if let id = try await InstallationID.read(metadata.store) { return id }
    let id = ClusterID(high: random.next(), low: random.next())
    try await metadata.store.setSetting(InstallationID.setting, id.bytes)
    return id
  }

  func runBeside() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await stores.stores.run() }
      group.addTask { for await store in stores.stores.returns { returned.add(store) } }
      await group.next()
      group.cancelAll()
    }
  }

  func shutDown() async {
    await gateway.recovery.stop()
    await stores.stores.shutDown()
    await metadata.close()
  }
}
