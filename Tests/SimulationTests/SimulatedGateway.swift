import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Placement
import Recovery
import Runtime
import Telemetry
import TestSupport

/// One life of a gateway: the product's engine, membership, guards of the storage servers, change
/// log and snapshots, leases and background workers.
///
/// Confined to the thread of the simulation.
final class SimulatedGateway: @unchecked Sendable {
  let slot: Int
  let process = SimulatedProcess()
  let metadata: SQLMetadataStore
  let membership: ClusterMembership
  let engine: ObjectEngine
  let recovery: MetadataRecovery
  let work: BackgroundWork
  let guards: GuardedStorageServers
  let wallClock: SimulatedWallClock
  /// In nanoseconds of the simulation.
  let started: Int64
  /// It is about to be stopped, or is.
  var isHarmed = false
  /// It was stopped for a while: what it was doing then took too long.
  var wasStopped = false
  /// By server.
  let linkFaults: [LinkFaults]
  /// What look-ups gave, for the broken double that trusts it.
  var cache: [[UInt8]: ObjectVersion?] = [:]
  private var background: Task<Void, Never>?

  /// The writer that it is now: another one once it was taken for dead.
  var epoch: UInt64 { engine.writer.epoch }
  var administration: ClusterAdministration { ClusterAdministration(membership) }

  /// The product's times, but those of minutes and more, so that a run need not last days.
  static func configuration(_ plan: SimulationPlan) -> BackgroundConfiguration {
    var configuration = BackgroundConfiguration()
    configuration.deletionDelay = plan.mutant == .noDeletionDelay ? .zero : .seconds(60)
    configuration.scrubPeriod = .seconds(3600)
    configuration.scrubDutyCycle = 1
    configuration.repairDutyCycle = 1
    // Several repairs at a time, as in a larger cluster.
    configuration.serversPerRepair = 2
    configuration.multipartAge = .seconds(120)
    configuration.cleanupInterval = .seconds(60)
    configuration.sweepInterval = .seconds(30)
    configuration.lossGrace = .seconds(60)
    configuration.comparisonPeriod = SimulationWorld.day
    return configuration
  }

  private static func recoveryConfiguration(_ world: SimulationWorld) -> RecoveryConfiguration {
    var configuration = RecoveryConfiguration()
    // In the end on request, so that there is an end.
    configuration.snapshotInterval = world.isHealed ? nil : .seconds(60)
    configuration.snapshotPartLength = 64 << 10
    return configuration
  }

  init(slot: Int, world: SimulationWorld) async throws {
    self.slot = slot
    started = world.scheduler.nanoseconds
    wallClock = SimulatedWallClock(world.scheduler)
    let random = SeededRandom(seed: world.random.next())
    metadata = SQLMetadataStore(
      driver: SimulatedDriver(world.database, process: process), random: random)
    linkFaults = world.servers.map { _ in LinkFaults() }
    let configuration = Self.configuration(world.plan)
    let monotonic = SimulatedMonotonicClock(scheduler: world.scheduler)
    let pauses = SimulatedPauseClock(scheduler: world.scheduler)
    let width = SimulationWorld.scheme.total
    let stores = StoreSet(
      stores: [], ring: PlacementRing(nodes: [], width: width), ringVersion: 0)
    if let witness = world.witnesses[slot], try await metadata.beginTimeline(after: witness) {
      world.violation("gateway \(slot) takes the database for one that was put back")
    }
    let writer = try await WriterKeeper.begin(
      metadata, ringVersion: 0, length: configuration.leaseLength, clock: monotonic,
      random: random)
    guards = GuardedStorageServers(
      SimulatedNetwork(world, process: process, faults: linkFaults),
      breaker: SimulationMutation.breaker(world.plan), clock: pauses, random: random)
    membership = ClusterMembership(
      metadata: metadata, connecting: SimulationMutation.servers(guards, world.plan),
      stores: stores, cluster: world.cluster, width: width, configuration: configuration,
      clock: monotonic, sleeping: world.clock, log: .none)
    try await membership.refresh()
    engine = ObjectEngine(
      configuration: EngineConfiguration(
        scheme: SimulationWorld.scheme, readAhead: 1 + world.pick(3),
        faults: FaultTolerance(clock: pauses)), metadata: metadata,
      stores: stores, keys: world.keys,
      buffers: BufferPool(limit: 24 << 20, cacheLimit: 0), pool: world.pool,
      writer: writer, clusterID: world.cluster,
      clock: wallClock, random: random, log: .none,
      extentCache: world.cache.map {
        ExtentCache(cache: $0, keys: world.keys, random: random)
      })
    recovery = MetadataRecovery(
      engine: engine, metadata: metadata, configuration: Self.recoveryConfiguration(world),
      random: random, log: .none)
    try await recovery.start()
    work = BackgroundWork(
      engine: engine, membership: membership, holder: Int64(random.next() >> 1),
      others: SimulatedRecoveryWorker.own(recovery), led: SimulatedRecoveryWorker.led(recovery),
      pool: world.pool, sleeping: world.clock, log: .none)
  }

  func start(_ world: SimulationWorld) {
    background = Task(executorPreference: world.pool) { [work] in await work.supervisor.run() }
  }

  /// Dies: from now on nothing that it does reaches anyone.
  func crash() {
    process.kill()
    background?.cancel()
  }

  /// Ends what a dead or idle gateway still does; one that lives gives its lease back.
  func end() async {
    background?.cancel()
    await background?.value
    await recovery.stop()
    await work.cluster?.leadership.resign()
  }
}
