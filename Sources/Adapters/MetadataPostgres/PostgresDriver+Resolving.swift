import Metadata
import Postgres
import Runtime
import Synchronization
import Telemetry

/// A transaction whose commit was sent and got no answer.
struct UnansweredTransaction: Sendable {
  /// Its row in `transaction_outcomes`.
  var number: Int64
  /// What the server calls it.
  var started: PostgresSession.Started?
}

/// Finding out what became of a transaction whose commit got no answer.
///
/// Each transaction that writes inserts a row (process, number) into `transaction_outcomes` right
/// before its commit, in the same round trip. The resolver inserts a row of the same key, marked as
/// barred, in a transaction of its own. That waits for the other as long as it is in flight. Then it
/// either conflicts, so the other was committed, rows and all, or it stays, and the other can never
/// be committed any more, however late its bytes reach the server. One row serves every kind of
/// mutation alike; it is exact also where a later transaction has replaced what this one wrote,
/// and, unlike a transaction number of the server's, it means the same after a crash or a failover.
///
/// Rows of answered transactions are deleted by the thousand (`TransactionNumbers`); barred rows,
/// and those of processes that are gone, after a day.
extension PostgresDriver {
  private static let bar = """
    INSERT INTO transaction_outcomes(process, number, barred, created_ms)
    VALUES($1, $2, 1, CAST(extract(epoch FROM now()) * 1000 AS BIGINT)) ON CONFLICT DO NOTHING
    """
  private static let look =
    "SELECT barred FROM transaction_outcomes WHERE process = $1 AND number = $2"
  private static let terminateStatement = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1 AND CAST(extract(epoch FROM xact_start) * 1000000 AS BIGINT) = $2
    """
  private static let deleteRange = """
    DELETE FROM transaction_outcomes
    WHERE process = $1 AND number >= $2 AND number < $3 AND barred = 0
    """
  private static let deleteOld = """
    DELETE FROM transaction_outcomes
    WHERE created_ms < CAST(extract(epoch FROM now()) * 1000 AS BIGINT) - 86400000
    """
  /// How long one statement of the resolver waits for the transaction that it asks for.
  private static let lockTimeout = 500
  private static let attemptTimeout = 3000

  /// Whether a transaction was committed; if not, it never will be. Throws
  /// `MetadataError.unknownOutcome` when that could not be found out in time.
  func resolve(_ transaction: UnansweredTransaction) async throws -> Bool {
    let deadline = Deadline(milliseconds: options.resolveTime)
    var attempt = 0
    while !deadline.hasPassed && !Task.isCancelled {
      if let isCommitted = try? await ask(transaction) {
        numbers.end(transaction.number)
        return isCommitted
      }
      attempt += 1
      try? await Task.sleep(
        for: .milliseconds(min(20 << min(attempt, 5), max(deadline.remainingMilliseconds, 1))))
    }
    log.error(
      "the outcome of a transaction is unknown",
      [("number", String(transaction.number)), ("database", target.description)])
    unresolved.withLock { $0[transaction.number] = transaction }
    throw MetadataError.unknownOutcome
  }

  /// Transactions whose outcome is still unknown, although nobody waits for it any more.
  public var unresolvedCount: Int { unresolved.withLock { $0.count } }

  /// Asks once more for each transaction whose outcome is unknown, so that none stays in flight and
  /// holds locks. To be called now and then as long as the process lives. Throws nothing: what
  /// cannot be resolved now is left for the next time.
  public func resolveRemaining() async {
    for transaction in unresolved.withLock({ Array($0.values) }) {
      guard let isCommitted = try? await ask(transaction) else { continue }
      numbers.end(transaction.number)
      _ = unresolved.withLock { $0.removeValue(forKey: transaction.number) }
      log.info(
        "the outcome of a transaction is known",
        [("number", String(transaction.number)), ("committed", String(isCommitted))])
    }
  }

  private func ask(_ transaction: UnansweredTransaction) async throws -> Bool {
    let process = numbers.process
    return try await withResolverConnection { pooled in
      let connection = pooled.connection
      let deadline = Deadline(milliseconds: Self.attemptTimeout)
      let key: [Parameter] = [.integer(process), .integer(transaction.number)]
      if let started = transaction.started {
        // Cut off from us, it may wait for ever for the rest of a message, holding locks. One that
        // is committing right now is not kept from it.
        try Self.terminate(started, connection, deadline)
      }
      do throws(PostgresError) {
        try connection.send("BEGIN ISOLATION LEVEL READ COMMITTED")
        try connection.send("SET LOCAL lock_timeout = \(Self.lockTimeout)")
        try connection.send(Self.bar, key)
        try connection.send("COMMIT")
        let results = try connection.finish(deadline)
        if results.count == 4, results[2].affectedRows == 1 { return false }
      } catch {
        guard error.leavesConnectionUsable else { throw error }
        _ = try connection.run("ROLLBACK", deadline: deadline)
        throw error
      }
      // A row that was there: the transaction's own, or one of the resolver's whose commit got no
      // answer either.
      let found = try connection.run(Self.look, key, deadline: deadline)
      guard let barred = found.integer(row: 0, column: 0) else {
        throw PostgresError.failed("a transaction's outcome that is neither new nor there")
      }
      return barred == 0
    }
  }

  /// Ends a transaction that was cut off from its client, if the server still has it.
  func terminate(_ transaction: PostgresSession.Started) async {
    try? await withResolverConnection { pooled in
      try Self.terminate(
        transaction, pooled.connection, Deadline(milliseconds: Self.attemptTimeout))
    }
  }

  private static func terminate(
    _ transaction: PostgresSession.Started, _ connection: Connection, _ deadline: Deadline
  ) throws(PostgresError) {
    do throws(PostgresError) {
      _ = try connection.run(
        terminateStatement,
        [.integer(transaction.process), .integer(transaction.microseconds)], deadline: deadline)
    } catch {
      // A role that may not end its own sessions waits until the server notices.
      guard error.leavesConnectionUsable else { throw error }
    }
  }

  /// Deletes rows that are of no use any more; what fails is done another time.
  func sweep(_ numbers: Range<Int64>) async {
    let values: [Parameter] = [
      .integer(self.numbers.process), .integer(numbers.lowerBound), .integer(numbers.upperBound),
    ]
    await delete(Self.deleteRange, values)
  }

  /// Deletes what processes of yesterday left.
  func sweepOld() async { await delete(Self.deleteOld, []) }

  private func delete(_ statement: String, _ values: [Parameter]) async {
    let timeout = options.answerTimeout
    // The rows lie there until next time, or for a day.
    try? await withConnection { pooled in
      _ = try pooled.connection.run(
        statement, values, deadline: Deadline(milliseconds: timeout))
    }
  }
}
