public import ObjectEngine
public import Runtime
public import Telemetry

/// The background work of an installation in one process.
public struct BackgroundWork: Sendable {
  /// Runs all of it.
  public let supervisor: WorkerSupervisor
  /// Verifies everything when asked.
  public let scrub: ScrubWorker
  /// Makes lost chunks again.
  public let repairer: ExtentRepairer
  /// What `supervisor` runs.
  package let workers: [any BackgroundWorker]
  /// What a gateway of a cluster has besides; nil in an installation of one process.
  public let cluster: ClusterWork?

  /// Puts the workers of `engine` together, `others` behind them; their steps run on `pool`, best
  /// one of their own, since they may block it for long.
  public init(
    engine: ObjectEngine, configuration: BackgroundConfiguration = BackgroundConfiguration(),
    others: [any BackgroundWorker] = [], pool: ThreadPool, log: Log
  ) {
    cluster = nil
    repairer = ExtentRepairer(engine: engine, log: log)
    scrub = Self.scrub(repairer, configuration, log)
    workers =
      [
        StoreMonitor(stores: engine.stores), WriterLeaseWorker(engine: engine),
        TombstoneWorker(engine: engine, delay: configuration.deletionDelay, log: log),
        SweepWorker(engine: engine, log: log), DiscardWorker(engine: engine),
        RepairWorker(repairer: repairer, dutyCycle: configuration.repairDutyCycle),
        SpreadWorker(repairer: repairer, dutyCycle: configuration.repairDutyCycle), scrub,
        Self.uploadCleanup(engine, configuration, log),
        UsageWorker(metadata: engine.metadata), StoreCompactor(stores: engine.stores),
        IdleTrimmer(buffers: [engine.buffers]),
      ] + others
    supervisor = WorkerSupervisor(
      workers: workers, wallClock: engine.clock, pool: pool, log: log)
  }

  /// Puts the workers of one of several gateways together, which share the stores in `membership`.
  ///
  /// What one process does for all, `led` included, is done by the one that holds the lease; each
  /// process runs `others`. `holder` names this process among them and is used by no other.
  /// `sleeping` is what idle workers wait by, `idleMemory` what is given back while nothing goes on.
  /// What keeps this process alive for the others runs on `urgentPool`, best one of its own of two
  /// threads.
  public init(
    engine: ObjectEngine, membership: ClusterMembership, holder: Int64,
    others: [any BackgroundWorker] = [], led ledOthers: [any BackgroundWorker] = [],
    pool: ThreadPool, urgentPool: ThreadPool? = nil,
    sleeping: any Clock<Duration> = ContinuousClock(),
    idleMemory: IdleTrimmer.Memory = IdleTrimmer.Memory(), log: Log
  ) {
    let configuration = membership.configuration
    let metadata = membership.metadata
    let leadership = Leadership(
      metadata: metadata, holder: holder, length: configuration.leaseLength,
      clock: membership.clock, log: log)
    let repairer = ExtentRepairer(engine: engine, isShared: true, log: log)
    let scrub = Self.scrub(repairer, configuration, log)
    let horizon = ReadHorizon(
      engine: engine, others: metadata, lease: configuration.leaseLength)
    let copies = FormerCopies(repairer: repairer, horizon: horizon, metadata: metadata)
    let keeper = WriterKeeper(
      engine: engine, metadata: metadata, length: configuration.leaseLength, log: log)
    let hold = DeletionHold(
      metadata: metadata, isTimelineOver: { try await keeper.isTimelineOver() })
    let comparison = StoreComparison(
      engine: engine, metadata: metadata, copies: copies, hold: hold,
      log: log.named("comparison"))
    let lanes = ExtentLanes(stores: engine.stores, configuration)
    let led: [any BackgroundWorker] = [
      WriterReclaimWorker(
        metadata: metadata, interval: configuration.leaseLength / 6, log: log),
      TombstoneWorker(
        engine: engine, delay: configuration.deletionDelay, interval: .seconds(10),
        horizon: horizon, hasLeft: { membership.hasLeft($0) },
        strays: { copies.strays(of: $0) }, log: log),
      SweepWorker(
        engine: engine, interval: configuration.sweepInterval, isShared: true, hold: hold,
        log: log),
      LossWorker(engine: engine, membership: membership, log: log),
      RepairWorker(
        repairer: repairer, interval: configuration.repairInterval,
        dutyCycle: configuration.repairDutyCycle, lanes: lanes),
      SpreadWorker(
        repairer: repairer, copies: copies, dutyCycle: configuration.repairDutyCycle),
      RebalanceWorker(
        repairer: repairer, metadata: metadata, copies: copies,
        interval: configuration.rebalanceInterval, dutyCycle: configuration.repairDutyCycle,
        lanes: lanes),
      ReconcileWorker(membership: membership, comparison: comparison),
      StrayWorker(
        comparison: comparison, period: configuration.comparisonPeriod, clock: membership.clock),
      scrub,
      Self.uploadCleanup(engine, configuration, log),
      UsageWorker(metadata: engine.metadata),
    ]
    let own: [any BackgroundWorker] = [
      MembershipWorker(membership, leadership: leadership), LeadershipWorker(leadership),
      keeper, DiscardWorker(engine: engine, hold: hold),
      IdleTrimmer(buffers: [engine.buffers], memory: idleMemory),
    ]
    self.repairer = repairer
    self.scrub = scrub
    cluster = ClusterWork(
      membership: membership, leadership: leadership, writer: keeper,
      administration: ClusterAdministration(membership, leadership: leadership))
    workers =
      own + others + (led + ledOthers).map { LedWorker($0, leadership: leadership) }
    supervisor = WorkerSupervisor(
      workers: workers, clock: sleeping, wallClock: engine.clock, pool: pool,
      urgentPool: urgentPool, log: log)
  }

  private static func scrub(
    _ repairer: ExtentRepairer, _ configuration: BackgroundConfiguration, _ log: Log
  ) -> ScrubWorker {
    ScrubWorker(
      repairer: repairer, period: configuration.scrubPeriod,
      dutyCycle: configuration.scrubDutyCycle, log: log)
  }

  private static func uploadCleanup(
    _ engine: ObjectEngine, _ configuration: BackgroundConfiguration, _ log: Log
  ) -> UploadCleanupWorker {
    UploadCleanupWorker(
      engine: engine, sessionIdle: configuration.sessionIdle,
      multipartAge: configuration.multipartAge, interval: configuration.cleanupInterval, log: log)
  }
}

/// What a gateway of a cluster has besides its workers.
public struct ClusterWork: Sendable {
  /// The storage servers as this gateway sees them.
  public let membership: ClusterMembership
  /// Whether this gateway does the background work; to be resigned at a shutdown, once the workers
  /// have ended.
  public let leadership: Leadership
  /// Keeps this gateway's writer alive.
  public let writer: WriterKeeper
  /// What operators do with the members.
  public let administration: ClusterAdministration
}
