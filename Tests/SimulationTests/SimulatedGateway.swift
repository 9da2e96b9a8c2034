import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Telemetry
import TestSupport

/// One life of a gateway: the product's engine and background workers.
///
/// Confined to the thread of the simulation.
final class SimulatedGateway: @unchecked Sendable {
  let slot: Int
  let process = SimulatedProcess()
  let metadata: SQLMetadataStore
  let engine: ObjectEngine
  let wallClock: SimulatedWallClock
  /// By server.
  let linkFaults: [LinkFaults]
  let scrub: ScrubWorker
  let epoch: UInt64
  /// What look-ups gave, for the broken double that trusts it.
  var cache: [[UInt8]: ObjectVersion?] = [:]
  private let supervisor: WorkerSupervisor
  private var background: Task<Void, Never>?

  static let deletionDelay: Duration = .seconds(60)

  init(slot: Int, world: SimulationWorld) async throws {
    self.slot = slot
    wallClock = SimulatedWallClock(world.scheduler)
    let random = SeededRandom(seed: world.random.next())
    metadata = SQLMetadataStore(
      driver: SimulatedDriver(world.database, process: process), random: random)
    epoch = try await metadata.beginWriter(minimum: 0, ringVersion: 1).epoch
    let process = process
    let faults = world.servers.map { _ in LinkFaults() }
    linkFaults = faults
    let links = zip(world.servers, faults).map { server, faults in
      SimulatedLink(to: server, from: process, faults: faults, world: world)
    }
    engine = ObjectEngine(
      configuration: EngineConfiguration(
        scheme: SimulationWorld.scheme, readAhead: 1 + world.pick(3)), metadata: metadata,
      stores: StoreSet(stores: links, ring: SimulationWorld.ring), keys: world.keys,
      buffers: BufferPool(limit: 24 << 20, cacheLimit: 0), pool: world.pool,
      writer: WriterIdentity(epoch: epoch, random: random), clusterID: world.cluster,
      clock: wallClock, random: random, log: .none,
      extentCache: world.cache.map {
        ExtentCache(cache: $0, keys: world.keys, random: random)
      })
    (supervisor, scrub) = Self.workers(engine, slot: slot, world: world)
  }

  /// The workers of the product; those that one gateway does for all are with the first.
  private static func workers(
    _ engine: ObjectEngine, slot: Int, world: SimulationWorld
  ) -> (WorkerSupervisor, ScrubWorker) {
    let repairer = ExtentRepairer(engine: engine, log: .none)
    let scrub = ScrubWorker(repairer: repairer, period: .seconds(3600), dutyCycle: 1, log: .none)
    var workers: [any BackgroundWorker] = [
      StoreMonitor(stores: engine.stores, interval: .seconds(20)),
      WriterLeaseWorker(engine: engine, interval: .seconds(10)),
    ]
    if slot == 0 {
      let delay = world.plan.mutant == .noDeletionDelay ? Duration.zero : deletionDelay
      workers += [
        TombstoneWorker(
          engine: engine, delay: delay, interval: delay == .zero ? .seconds(1) : .seconds(15),
          log: .none),
        SweepWorker(engine: engine, interval: .seconds(30), log: .none),
        RepairWorker(repairer: repairer, interval: .seconds(10), dutyCycle: 1),
        SpreadWorker(repairer: repairer, interval: .seconds(30), dutyCycle: 1), scrub,
        UploadCleanupWorker(
          engine: engine, multipartAge: .seconds(120), interval: .seconds(60), log: .none),
        UsageWorker(metadata: engine.metadata, interval: .seconds(20)),
      ]
    }
    return (
      WorkerSupervisor(
        workers: workers, clock: world.clock, wallClock: engine.clock, pool: world.pool,
        log: .none), scrub
    )
  }

  func start(_ world: SimulationWorld) {
    background = Task(executorPreference: world.pool) { [supervisor] in await supervisor.run() }
  }

  /// Dies: from now on nothing that it does reaches anyone.
  func crash() {
    process.kill()
    background?.cancel()
  }

  /// Ends what a dead or idle gateway still does.
  func end() async {
    background?.cancel()
    await background?.value
  }
}
