public import ObjectEngine
public import Runtime
public import Telemetry

/// What an operator may change about background work. The defaults are the design's.
public struct BackgroundConfiguration: Sendable {
  /// How long chunks of deleted objects are kept: 15 min.
  public var deletionDelay: Duration = .seconds(900)
  /// In what time every chunk is verified once; nil for never: 30 days.
  public var scrubPeriod: Duration? = .seconds(30 * 86_400)
  /// The part of the time that the periodic scrub works: a tenth.
  public var scrubDutyCycle = 0.1
  /// The part of the time that repair works, and spreading as well: a half.
  public var repairDutyCycle = 0.5
  /// How long a session of the Files API may rest before it has failed: 1 h.
  public var sessionIdle: Duration = .seconds(3600)
  /// How often abandoned uploads are looked for: every 5 min.
  public var cleanupInterval: Duration = .seconds(300)
  /// The age at which multipart uploads are aborted; nil for never, as S3 does.
  public var multipartAge: Duration?

  /// The defaults.
  public init() {}
}

/// The background work of an installation in one process.
public struct BackgroundWork: Sendable {
  /// Runs all of it.
  public let supervisor: WorkerSupervisor
  /// Verifies everything when asked.
  public let scrub: ScrubWorker
  /// Makes lost chunks again.
  public let repairer: ExtentRepairer

  /// Puts the workers of `engine` together, `others` behind them; their steps run on `pool`, best
  /// one of their own, since they may block it for long.
  public init(
    engine: ObjectEngine, configuration: BackgroundConfiguration = BackgroundConfiguration(),
    others: [any BackgroundWorker] = [], pool: ThreadPool, log: Log
  ) {
    repairer = ExtentRepairer(engine: engine, log: log)
    scrub = ScrubWorker(
      repairer: repairer, period: configuration.scrubPeriod,
      dutyCycle: configuration.scrubDutyCycle, log: log)
    supervisor = WorkerSupervisor(
      workers: [
        StoreMonitor(stores: engine.stores), WriterLeaseWorker(engine: engine),
        TombstoneWorker(engine: engine, delay: configuration.deletionDelay, log: log),
        SweepWorker(engine: engine, log: log),
        RepairWorker(repairer: repairer, dutyCycle: configuration.repairDutyCycle),
        SpreadWorker(repairer: repairer, dutyCycle: configuration.repairDutyCycle), scrub,
        UploadCleanupWorker(
          engine: engine, sessionIdle: configuration.sessionIdle,
          multipartAge: configuration.multipartAge, interval: configuration.cleanupInterval,
          log: log),
        UsageWorker(metadata: engine.metadata), StoreCompactor(stores: engine.stores),
        IdleTrimmer(buffers: engine.buffers),
      ] + others, wallClock: engine.clock, pool: pool, log: log)
  }
}
