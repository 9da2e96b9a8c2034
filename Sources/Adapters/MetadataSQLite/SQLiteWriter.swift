import Metadata
import Runtime
import SQLite
import Synchronization
import Telemetry

/// The one connection that writes, on a thread of its own.
///
/// All mutations that wait when a transaction begins are in it: one sync of the log commits them
/// all, and only then are they answered. After an error of the disk it writes nothing more: a sync
/// that failed is never repeated, since the kernel may have dropped what it did not write.
///
/// All but `line` is confined to the thread. The thread holds the writer: when it ends, the
/// connection is closed and the file given free.
final class SQLiteWriter: @unchecked Sendable {
  enum Work: Sendable {
    case mutation(any PendingMutation)
    /// Something to do between transactions.
    case task(@Sendable (SQLiteWriter) -> Void)
  }

  /// How much the writer did.
  struct Counters: Sendable {
    var batches = 0
    var mutations = 0
    var checkpoints = 0
  }

  /// What the writer shares with everyone else.
  final class Line: Sendable {
    let queue = WorkQueue<Work>()
    let counters = Mutex(Counters())
    /// Called on the thread when there was nothing to do for a while.
    let whenIdle = Mutex<(@Sendable () -> Void)?>(nil)
  }

  let line: Line
  let options: SQLiteOptions
  let connection: Connection
  private let session: SQLiteSession
  private let log: Log
  /// Kept as long as anything writes.
  private let file: DatabaseFile
  private var fenceReason: String?
  private var copiedPages = 0
  private var isLogCut = false

  init(
    line: Line, file: consuming DatabaseFile, connection: Connection, clock: any WallClock,
    options: SQLiteOptions, log: Log
  ) {
    self.log = log
    self.line = line
    self.file = file
    self.connection = connection
    self.options = options
    session = SQLiteSession(connection, clock: clock)
  }

  /// Works until the queue is closed and empty.
  func work() {
    while true {
      let next = line.queue.take(
        limit: options.batchLimit, weightLimit: options.batchBytes,
        milliseconds: isLogCut || fenceReason != nil ? nil : options.idleMilliseconds)
      switch next {
      case .work(let items): perform(items)
      case .nothing: cutLog()
      case .closed:
        cutLog()
        return
      }
    }
  }

  private func perform(_ items: [Work]) {
    var mutations: [any PendingMutation] = []
    for case .mutation(let mutation) in items { mutations.append(mutation) }
    if !mutations.isEmpty { transact(mutations) }
    for case .task(let task) in items { task(self) }
    if !mutations.isEmpty { checkpointIfDue() }
  }

  /// Runs mutations in one transaction and answers them.
  private func transact(_ mutations: [any PendingMutation]) {
    if let reason = fenceReason { return fail(mutations, .unavailable(reason)) }
    isLogCut = false
    do {
      try session.execute("BEGIN IMMEDIATE")
    } catch {
      fenceIfFailed(error)
      return fail(mutations, error.asMetadataError)
    }
    if let error = runAll(mutations) {
      rollBack()
      fenceIfFailed(error)
      return fail(mutations, error.asMetadataError)
    }
    do {
      // A single mutation that was taken back has ended the transaction.
      if connection.isInTransaction { try session.execute("COMMIT") }
    } catch {
      rollBack()
      if !error.isFull { fence(error.message) }
      // What a failed sync left in the log may be there after a restart.
      return fail(mutations, error.isFull ? .full : .unknownOutcome)
    }
    line.counters.withLock { counters in
      counters.batches += 1
      counters.mutations += mutations.count
    }
    for mutation in mutations { mutation.deliver() }
  }

  /// Runs each mutation; the error that lost the transaction of all of them, if one did.
  private func runAll(_ mutations: [any PendingMutation]) -> SQLiteError? {
    let outcome = Outcome()
    // Nothing on a SQLite session suspends, so all of this has run when the call returns.
    Task.immediate {
      let isolated = mutations.count > 1
      for mutation in mutations {
        do throws(SQLiteError) {
          try await run(mutation, isolated: isolated)
        } catch {
          outcome.error = error
          break
        }
      }
      if outcome.error == nil {
        do throws(SQLiteError) { try await flush() } catch { outcome.error = error }
      }
      outcome.isComplete = true
    }
    precondition(outcome.isComplete, "a mutation waited for something else than its database")
    return outcome.error
  }

  private final class Outcome: @unchecked Sendable {
    var isComplete = false
    var error: SQLiteError?
  }

  private func run(_ mutation: any PendingMutation, isolated: Bool) async throws(SQLiteError) {
    session.beginMutation(isolated: isolated)
    guard let error = await mutation.run(session) else { return try session.keepMutation() }
    try session.revertMutation()
    // A failed disk, or a transaction that SQLite ended by itself, is the end for all of them.
    guard let error = error as? SQLiteError else { return }
    if error.isStorageFailure || (isolated && !connection.isInTransaction) { throw error }
  }

  private func flush() async throws(SQLiteError) {
    guard connection.isInTransaction else { return }
    do {
      try await session.flushMemo()
    } catch let error as SQLiteError {
      throw error
    } catch {
      throw SQLiteError(extendedCode: SQLiteError.range, doing: "write usage")
    }
  }

  private func rollBack() {
    session.memo.content = TransactionMemo.Content()
    guard connection.isInTransaction else { return }
    do {
      try session.execute("ROLLBACK")
    } catch {
      fence("roll back: \(error.message)")
    }
  }

  private func fail(_ mutations: [any PendingMutation], _ error: MetadataError) {
    for mutation in mutations { mutation.fail(error) }
  }
}

extension SQLiteWriter {
  /// Whether, and why, nothing is written any more.
  var isFenced: Bool { fenceReason != nil }

  private func fenceIfFailed(_ error: SQLiteError) {
    if error.isStorageFailure { fence(error.message) }
  }

  private func fence(_ reason: String) {
    guard fenceReason == nil else { return }
    fenceReason = "the metadata database failed and is not written any more: \(reason)"
    log.log(.error, "the metadata database is fenced", [("reason", reason)])
    // Best effort: the log is then read again, and checked, by whoever opens the file next.
    try? connection.leaveLogAtClose()
  }

  /// Keeps the log short without waiting for readers, or with waiting when it is very long.
  private func checkpointIfDue() {
    guard fenceReason == nil else { return }
    let pages = connection.logPages
    // The log began anew.
    if pages < copiedPages { copiedPages = 0 }
    if pages >= options.maximumLogPages {
      checkpoint(.restart, patience: 100)
    } else if pages - copiedPages >= options.checkpointPages {
      checkpoint(.passive, patience: 0)
    }
  }

  /// Empties the log when there is nothing else to do.
  private func cutLog() {
    guard fenceReason == nil, !isLogCut else { return }
    checkpoint(.truncate, patience: 0)
    connection.releaseMemory()
    line.whenIdle.withLock { $0 }?()
  }

  private func checkpoint(_ mode: Connection.Checkpoint, patience: Int32) {
    do {
      if patience > 0 { try connection.setBusyTimeout(milliseconds: patience) }
      let (log, copied) = try connection.checkpoint(mode)
      if patience > 0 { try connection.setBusyTimeout(milliseconds: 0) }
      copiedPages = max(copied, 0)
      isLogCut = mode == .truncate && log <= 0
      line.counters.withLock { $0.checkpoints += 1 }
    } catch {
      // A full disk leaves the pages in the log, where they are safe.
      fenceIfFailed(error)
    }
  }
}
