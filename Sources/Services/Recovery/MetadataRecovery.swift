import Base
import ChunkStore
import Erasure
public import Metadata
public import ObjectEngine
public import Runtime
import Synchronization
public import Telemetry

/// Keeps the metadata in the stores: snapshots, a log of changes, the wrapped keys; and what an
/// operator does with it.
///
/// `start` comes before the first request; `stepLog` is called about every second, in every
/// process; `stepSnapshots` in one process of the installation at a time. Usable from any task.
public final class MetadataRecovery: Sendable {
  private struct State {
    var journal: ChangeJournal?
    var isRequested = false
    var hasListed = false
    var highestNumber: UInt32 = 0
    /// What the journal had written when the last snapshot was made.
    var piecesBefore = 0
    var bytesBefore = 0
    var lastError: String?
    var keyCopies = 0
    /// Marks that were there at the last look, to see which of them stay.
    var seenMarks: Set<Int64> = []
    var nextMarkLook: Timestamp = Timestamp(milliseconds: 0)
    var nextKeyLook: Timestamp = Timestamp(milliseconds: 0)
    /// Whether changes were made while there was no store for the log.
    var isWaitingForStores = false
    var isReconciling = false
    var isSnapshotting = false
    var survey = LogSurvey()
    /// The snapshots by which it was last deleted what they make needless; nil before.
    var trimmedBy: [UInt32]?
  }

  /// Pieces of the log whose copies one step makes up at most.
  private static let madeUpPieces = 128

  /// How it is done.
  public let configuration: RecoveryConfiguration
  let engine: ObjectEngine
  let metadata: SQLMetadataStore
  let log: Log
  private let random: any RandomSource
  private let state = Mutex(State())

  /// Keeps the metadata of `engine`, which is in `metadata`.
  public init(
    engine: ObjectEngine, metadata: SQLMetadataStore, configuration: RecoveryConfiguration,
    random: any RandomSource, log: Log
  ) {
    self.engine = engine
    self.metadata = metadata
    self.configuration = configuration
    self.random = random
    self.log = log.named("recovery")
  }

  private var logStores: LogStores {
    LogStores(stores: engine.stores, configuration: configuration)
  }

  // MARK: The log

  /// Puts the wrapped keys into the stores and the change log in force, or out of it; takes to the
  /// log what a process before left.
  public func start() async throws {
    try await publishKeys()
    let isOn =
      switch configuration.changeLog {
      case .on: true
      case .off: false
      case .automatic: logStores.bringSomething
      }
    var id = try await metadata.changeLogID()
    guard isOn else {
      metadata.setChangeSink(nil)
      if !id.isEmpty { try await metadata.setChangeLogID([]) }
      return
    }
    if id.isEmpty { id = try await metadata.beginChangeLog(random.bytes(16)) }
    let journal = ChangeJournal(
      engine: engine, stores: logStores, logID: id, random: random, log: log)
    state.withLock { $0.journal = journal }
    metadata.setChangeSink(journal)
    guard journal.hasStores else {
      log.info("the change log waits for the first storage server")
      state.withLock { $0.isWaitingForStores = true }
      return
    }
    do {
      try await relogAll()
    } catch {
      // They stay marked, and are tried again every half minute.
      log.warning("changes of a process before are not in the log", [("error", "\(error)")])
    }
  }

  /// Takes changes to the log; nil before there is one.
  var journal: ChangeJournal? { state.withLock { $0.journal } }

  /// Ends the log's part in commits, for a process that ends.
  public func stop() async {
    guard let journal else { return }
    try? await metadata.forgetMarks(journal.takeLogged())
  }

  private func relogAll() async throws {
    var after: Int64 = 0
    while true {
      let marks = try await metadata.changeMarks(after: after, limit: 64)
      guard let last = marks.last else { return }
      try await metadata.relog(marks)
      after = last.number
      // What is logged anew has marks of its own, behind all of these.
      if marks.count < 64 { return }
    }
  }

  /// Forgets the marks of what is in the log, and logs what stayed behind: a bounded piece of work.
  /// Returns after how long it is to be called again.
  public func stepLog() async throws -> Duration {
    let now = engine.clock.now
    if state.withLock({ $0.nextKeyLook }) <= now {
      try await publishKeys()
      try await giveUpSnapshots()
      state.withLock { $0.nextKeyLook = now.advanced(byMilliseconds: 60_000) }
    }
    guard let journal else {
      // Servers may have joined since, or another gateway has put a log in force.
      if configuration.changeLog == .automatic, logStores.bringSomething { try await start() }
      return .seconds(1)
    }
    if state.withLock({ $0.isWaitingForStores }), journal.hasStores {
      try await relogAll()
      state.withLock { $0.isWaitingForStores = false }
    }
    try await metadata.forgetMarks(journal.takeLogged())
    if state.withLock({ $0.nextMarkLook }) <= now {
      let marks = try await metadata.changeMarks(after: 0, limit: 256)
      let unfinished = journal.unfinished
      let seen = state.withLock { state in
        defer { state.seenMarks = Set(marks.map(\.number)) }
        state.nextMarkLook = now.advanced(byMilliseconds: 30_000)
        return state.seenMarks
      }
      let stale = marks.filter { seen.contains($0.number) && !unfinished.contains($0.number) }
      try await metadata.relog(Array(stale.prefix(64)))
    }
    if journal.takeForgottenShort() { try await surveyLog(journal) }
    return await journal.makeUpCopies(limit: Self.madeUpPieces) ? .milliseconds(10) : .seconds(1)
  }

  /// Looks in all stores in sight for pieces of the log that lie in too few of them, as another
  /// process or a store that is gone may have left them, and has their copies made up.
  private func surveyLog(_ journal: ChangeJournal) async throws {
    let stores = logStores
    let completer = LogCompleter(
      engine: engine, logStores: stores, copies: min(journal.copies, stores.stores.all.count))
    let floor =
      try await LogTrimmer(
        engine: engine, metadata: metadata, configuration: configuration
      ).floor() ?? 0
    let found = await withTaskExecutorPreference(engine.pool) {
      await completer.survey(above: floor)
    }
    guard !found.isEmpty else { return }
    log.warning(
      "pieces of the change log lie in fewer stores than they should",
      [("pieces", "\(found.count)")])
    journal.keepShort(found)
  }

  /// The same as `publishKeys`; returns whether one more store has the keys than losses are borne, or
  /// all where there are fewer. The old master key is let go only then.
  public func publishKeysToEnough() async throws -> Bool {
    let all = KeyPublisher(engine: engine, metadata: metadata).targets.count
    return try await publishKeys() >= min(all, engine.configuration.scheme.parity + 1)
  }

  /// Puts the keys into every store that is to have them and has not got them as they are now.
  /// Returns how many of them have the keys.
  @discardableResult
  public func publishKeys() async throws -> Int {
    let publisher = KeyPublisher(engine: engine, metadata: metadata)
    let count = try await withTaskExecutorPreference(engine.pool) {
      try await publisher.publish()
    }
    let all = publisher.targets.count
    let before = state.withLock { state in
      defer { state.keyCopies = count }
      return state.keyCopies
    }
    if count < all, count != before {
      log.warning(
        "not every store has the wrapped keys", [("stores", "\(count)"), ("of", "\(all)")])
    }
    return count
  }

  // MARK: Snapshots

  /// Has the next `stepSnapshots` make a snapshot.
  public func requestSnapshot() { state.withLock { $0.isRequested = true } }

  /// Makes a snapshot when one is due, and removes what snapshots make needless; once stores have come or
  /// gone, looks for pieces of the log with too few copies. Returns after how long
  /// it is to be called again.
  public func stepSnapshots() async throws -> Duration {
    if let journal = state.withLock({ $0.journal }) {
      let present = Set(engine.stores.all.map(\.id).filter(logStores.isInSight))
      let (count, now) = (engine.stores.all.count, engine.clock.now)
      let delay = configuration.logSurveyDelay
      if state.withLock({ $0.survey.isDue(present, of: count, now: now, delay: delay) }) {
        try await surveyLog(journal)
        state.withLock { $0.survey.done = present }
      }
    }
    if try await isDue() { _ = try await makeSnapshot() }
    try await trim()
    return .seconds(10)
  }

  /// Deletes what snapshots have made needless since it was last done, whoever made them.
  private func trim() async throws {
    let trimmer = LogTrimmer(engine: engine, metadata: metadata, configuration: configuration)
    let kept = try await trimmer.kept().map(\.number)
    guard state.withLock({ $0.trimmedBy }) != kept else { return }
    try await trimmer.trim()
    // What was refused since another process does this work is that one's to do.
    try WorkLease.checkCurrent()
    state.withLock { $0.trimmedBy = kept }
  }

  /// Gives up what this process has begun and could not give up when it failed.
  private func giveUpSnapshots() async throws {
    // What is begun from here on is not among them.
    let begun = try await metadata.unfinishedSnapshots()
    guard !begun.isEmpty, !state.withLock({ $0.isSnapshotting }) else { return }
    try await maker.giveUp(begun)
  }

  private var maker: SnapshotMaker {
    SnapshotMaker(
      engine: engine, metadata: metadata, configuration: configuration, random: random, log: log)
  }

  private func isDue() async throws -> Bool {
    let (journal, isRequested, pieces, bytes) = state.withLock { state in
      (state.journal, state.isRequested, state.piecesBefore, state.bytesBefore)
    }
    if isRequested { return true }
    guard let interval = configuration.snapshotInterval else { return false }
    let snapshots = try await metadata.snapshots()
    guard let last = snapshots.last(where: \.isComplete) else { return true }
    let logID = try await metadata.changeLogID()
    if last.log != logID, !logID.isEmpty { return true }
    if let status = journal?.status,
      status.pieces - pieces >= configuration.maximumLogPieces
        || status.bytes - bytes >= configuration.maximumLogBytes
    {
      return true
    }
    let age = engine.clock.now.milliseconds - last.started.milliseconds
    return Duration.milliseconds(age) >= interval
  }

  /// Makes a snapshot now; returns it when all of it is durable. Throws `alreadyExists` while
  /// another one is being made.
  public func makeSnapshot() async throws -> StoredSnapshot {
    let isFree = state.withLock { state in
      defer { state.isSnapshotting = true }
      return !state.isSnapshotting
    }
    guard isFree else { throw MetadataError.alreadyExists("a snapshot that is being made") }
    defer { state.withLock { $0.isSnapshotting = false } }
    if !state.withLock({ $0.hasListed }) {
      // A database that was restored may not know the numbers that the stores know.
      let inventory = await withTaskExecutorPreference(engine.pool) {
        await StoreInventory.take(engine.stores.all)
      }
      state.withLock { state in
        state.hasListed = true
        state.highestNumber = inventory.snapshots.keys.max() ?? 0
      }
    }
    let maker = maker
    let (status, minimum) = state.withLock { state in
      state.isRequested = false
      return (state.journal?.status, state.highestNumber)
    }
    do {
      let made = try await maker.make(
        log: try await metadata.changeLogID(), minimum: minimum)
      state.withLock { state in
        state.lastError = nil
        state.piecesBefore = status?.pieces ?? 0
        state.bytesBefore = status?.bytes ?? 0
      }
      try await maker.removeOld()
      return made
    } catch {
      state.withLock { $0.lastError = "\(error)" }
      throw error
    }
  }

  // MARK: For the operator

  /// How the change log fares.
  public var logStatus: ChangeLogStatus {
    state.withLock { $0.journal }?.status ?? ChangeLogStatus()
  }

  /// How well the metadata is kept.
  public func status() async throws -> RecoveryStatus {
    let (journal, copies, error) = state.withLock { ($0.journal, $0.keyCopies, $0.lastError) }
    let snapshots = try await metadata.snapshots()
    let logID = try await metadata.changeLogID()
    return RecoveryStatus(
      log: journal?.status ?? ChangeLogStatus(),
      pendingChanges: try await metadata.pendingChanges(), snapshots: snapshots,
      isLogInForce: !logID.isEmpty && snapshots.contains { $0.isComplete && $0.log == logID },
      quarantined: try await metadata.quarantineCount(), keyCopies: copies,
      lastSnapshotError: error)
  }

  /// Compares every chunk with the metadata (`Reconciler`). Throws `alreadyExists` while another
  /// comparison runs.
  public func reconcile(
    progress: @escaping @Sendable (String) -> Void = { _ in }
  ) async throws -> ReconcileReport {
    let isFree = state.withLock { state in
      defer { state.isReconciling = true }
      return !state.isReconciling
    }
    guard isFree else { throw MetadataError.alreadyExists("reconciliation") }
    defer { state.withLock { $0.isReconciling = false } }
    return try await Reconciler(engine: engine, metadata: metadata, log: log)
      .run(progress: progress)
  }
}
