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
import Recovery
import Redis
import RedisCache
import Runtime
import Synchronization
import Telemetry
import Trust

/// The object graph of `gateway`: metadata in PostgreSQL, stores behind storage servers.
struct ClusterNode: GatewayNode {
  let gateway: Gateway
  private let installation: ClusterInstallation
  private let trust: GatewayTrust
  private let membership: ClusterMembership
  private let leadership: Leadership?
  private let memory: GatewayMemory
  private let writer: WriterKeeper?
  /// How often the certificate is looked at.
  private let trustInterval: Duration

  static func open(_ configuration: Configuration, log: Log) async throws -> ClusterNode {
    let clock = SystemWallClock()
    let random = SystemRandom()
    let scheme = try ErasureScheme(text: configuration["ERASURE_SCHEME"])
    let installation = try await ClusterInstallation.open(configuration, log: log)
    let metadata = installation.metadata.store
    let stores = StoreSet(
      stores: [], ring: PlacementRing(nodes: [], width: scheme.total), ringVersion: 0)
    let settings = Gateway.background(configuration)
    let memory = GatewayMemory(dataDirectory: configuration["DATA_DIR"])
    if let witness = try memory.witness(), try await metadata.beginTimeline(after: witness) {
      log.warning(
        "the database was put back to an earlier state: run `s3storage admin reconcile`")
    }
    let writer = try await WriterKeeper.begin(
      metadata, ringVersion: 0, length: settings.leaseLength, random: random)
    let pool = ThreadPool(name: "io", threadCount: configuration.number("IO_THREADS"))
    let budget = configuration.number("BUFFER_BUDGET")
    let cache = try cache(configuration, installation, log)
    let engine = ObjectEngine(
      configuration: EngineConfiguration(
        scheme: scheme, inlineLimit: configuration.number("INLINE_LIMIT")),
      metadata: metadata, stores: stores, keys: installation.keys.ring,
      buffers: BufferPool(limit: budget, cacheLimit: budget), pool: pool,
      writer: writer, clusterID: installation.id,
      clock: clock, random: random, log: log,
      extentCache: cache.map {
        ExtentCache(cache: $0, keys: installation.keys.ring, random: random)
      })
    let access = AccessControl(
      metadata: metadata, keys: installation.keys.ring, clock: clock, random: random)
    let joining = Joining(metadata)
    let trust = try await GatewayTrust.open(
      configuration, installation, joining.directory, log: log)
    var calling = ChunkRPCClient.Settings()
    calling.streamMemory = budget / 2
    let client = ChunkRPCClient(security: trust.security, settings: calling)
    let servers = guardedServers(client, configuration)
    let membership = ClusterMembership(
      metadata: metadata, connecting: servers,
      stores: stores, cluster: installation.id, width: scheme.total, configuration: settings,
      log: log)
    joining.membership.withLock { $0 = membership }
    try await membership.refresh()
    let recovery = try await GatewayRecovery.start(
      engine, metadata, embedded: nil, configuration, log: log)
    let work = BackgroundWork(
      engine: engine, membership: membership, holder: Int64(bitPattern: random.next() >> 1),
      others: RecoveryWorker.own(recovery), led: RecoveryWorker.led(recovery),
      pool: ThreadPool(name: "background", threadCount: 4),
      urgentPool: ThreadPool(name: "heartbeat", threadCount: 2),
      idleMemory: idleMemory(client), log: log)
    let gateway = Gateway(
      engine: engine, access: access, keys: installation.keys, masterKey: installation.masterKey,
      work: work, recovery: recovery,
      rootKeys: try await ChangeLogPolicy.$mayLogLater.withValue(true) {
        try await Gateway.rootKeys(access, configuration)
      },
      installation: ClusterDescription(started: clock.now, metadata: metadata), backups: nil,
      cache: cache, servers: servers, calls: client.counters, enrolment: trust.enrolment,
      administration: work.cluster?.administration,
      log: log)
    return ClusterNode(
      gateway: gateway, installation: installation,
      trust: trust, membership: membership, leadership: work.cluster?.leadership,
      memory: memory, writer: work.cluster?.writer,
      trustInterval: .seconds(min(60, configuration.number("TRUST_SECONDS"))))
  }

  /// What an idle gateway gives back besides the engine's buffers.
  private static func idleMemory(_ client: ChunkRPCClient) -> IdleTrimmer.Memory {
    IdleTrimmer.Memory(trim: {
      client.trim()
      ProcessEnvironment.trimAllocator()
    })
  }

  private static func guardedServers(
    _ client: ChunkRPCClient, _ configuration: Configuration
  ) -> GuardedStorageServers {
    GuardedStorageServers(
      client,
      breaker: CircuitBreaker.Options(
        failuresToOpen: configuration.number("BREAKER_FAILURES"),
        openDuration: .seconds(configuration.number("BREAKER_SECONDS")),
        successesToClose: configuration.number("BREAKER_SUCCESSES")))
  }

  private static func cache(
    _ configuration: Configuration, _ installation: ClusterInstallation, _ log: Log
  ) throws -> RedisCache? {
    let url = configuration["REDIS_URL"]
    guard !url.isEmpty else { return nil }
    return RedisCache(
      address: try RedisAddress(url), prefix: "s3storage/\(installation.id)/",
      pool: ThreadPool(name: "redis", threadCount: 4), log: log)
  }

  /// Goes on to find out what became of commits whose answer was lost, and keeps the certificate
  /// young.
  func runBeside() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await resolve() }
      group.addTask {
        while !Task.isCancelled {
          await trust.renew(writer: gateway.engine.writer.epoch) {
            try await installation.metadata.store.liveWriters().map(\.epoch)
          }
          try? await Task.sleep(for: trustInterval)
        }
      }
      group.addTask { await remember() }
    }
  }

  /// Keeps the members for the day when the database is lost, and the writer for the day when it is
  /// put back to an earlier state.
  private func remember() async {
    var kept: Int64?
    var keptWitness: WriterWitness?
    while !Task.isCancelled {
      if let members = membership.members, members.ringVersion != kept {
        do {
          try await gateway.engine.pool.run { [memory] in try memory.keep(members) }
          kept = members.ringVersion
        } catch {
          gateway.log.warning("the members could not be kept", [("reason", "\(error)")])
        }
      }
      if let witness = writer?.witness, witness != keptWitness {
        do {
          try await gateway.engine.pool.run { [memory] in try memory.keep(witness) }
          keptWitness = witness
        } catch {
          gateway.log.warning("the writer could not be kept", [("reason", "\(error)")])
        }
      }
      try? await Task.sleep(for: .seconds(2))
    }
  }

  private func resolve() async {
    while !Task.isCancelled {
      await installation.metadata.driver.resolveRemaining()
      try? await Task.sleep(for: .seconds(1))
    }
  }

  func shutDown() async {
    await gateway.recovery.stop()
    await leadership?.resign()
    await installation.metadata.driver.resolveRemaining()
    // The writer is not ended: its lease runs out, and what was cut off in it is swept.
    await membership.close()
    await installation.metadata.close()
  }
}

/// Registrations go to the membership, which is made after what admits them.
private final class Joining: Sendable {
  let membership = Mutex<ClusterMembership?>(nil)
  private let metadata: any MembershipStore

  init(_ metadata: any MembershipStore) { self.metadata = metadata }

  var directory: EnrolmentService.Directory {
    EnrolmentService.Directory(
      register: { [self] registration in
        guard let membership = membership.withLock({ $0 }) else {
          throw MetadataError.unavailable("the gateway starts")
        }
        try await membership.register(registration)
      },
      state: { [self] id in
        try await metadata.members().servers.first { $0.id == id }?.state
      })
  }
}
