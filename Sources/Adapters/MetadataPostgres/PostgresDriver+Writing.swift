import Base
public import Metadata
import Postgres
import Runtime

extension PostgresDriver {
  /// How one attempt at a transaction ended.
  private enum Attempt<T: Sendable>: Sendable {
    case committed(T)
    /// The commit was sent, and no answer came.
    case unanswered(T, UnansweredTransaction)
    /// The connection was lost before the commit was sent.
    case abandoned(PostgresError, PostgresSession.Started)
  }

  private static let insertOutcome = SQLStatement(
    """
    INSERT INTO transaction_outcomes(process, number, barred, created_ms)
    VALUES($1, $2, 0, CAST(extract(epoch FROM now()) * 1000 AS BIGINT))
    """)

  /// Runs a transaction: again when it collided with another, or the connection was lost before it
  /// was asked to commit, or while it was and the resolver found that it did not.
  ///
  /// Throws `MetadataError.unknownOutcome` when the database did not tell in time whether the
  /// transaction was committed; `resolveRemaining` goes on asking.
  public func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    let deadline = Deadline(milliseconds: options.retryTime)
    var attempt = 0
    while true {
      do {
        switch try await self.attempt(body) {
        case .committed(let value):
          metrics.count(\.committed)
          if let numbers = numbers.takeSweep() { await sweep(numbers) }
          return value
        case .unanswered(let value, let transaction):
          metrics.count(\.unanswered)
          if try await resolve(transaction) {
            metrics.count(\.committed)
            return value
          }
          throw PostgresError.connectionLost("while committing")
        case .abandoned(let error, let transaction):
          // It may hold locks that the next attempt needs, as long as the server has not noticed.
          await terminate(transaction)
          throw error
        }
      } catch {
        if (error as? MetadataError) == .unknownOutcome { throw error }
        metrics.count(\.rolledBack)
        attempt += 1
        try await pause(after: error, attempt: attempt, until: deadline)
      }
    }
  }

  private func attempt<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> Attempt<T> {
    try await withConnection { pooled in
      let session = PostgresSession(pooled.connection, self.context, .write)
      let value: T
      do {
        value = try await body(session)
        if session.isOpen { try await session.memo.flush(to: session) }
        if let failure = session.failure { throw failure }
      } catch {
        session.rollBack()
        if let lost = session.failure as? PostgresError, pooled.connection.isBroken,
          let started = session.started
        {
          return .abandoned(lost, started)
        }
        // What the database refused comes before what the body made of it.
        throw session.failure ?? error
      }
      return try self.commit(session, value)
    }
  }

  private func commit<T: Sendable>(
    _ session: PostgresSession, _ value: T
  ) throws -> Attempt<T> {
    let number = numbers.begin()
    do {
      // One that only read leaves nothing behind to ask for.
      let command = try session.commit(
        recording: session.hasWritten
          ? (Self.insertOutcome, [.int(numbers.process), .int(number)]) : nil)
      numbers.end(number)
      // A transaction in which a statement failed answers a commit by rolling back.
      guard command == nil || command == "COMMIT" else {
        throw PostgresError.failed("a transaction was rolled back instead of committed")
      }
      return .committed(value)
    } catch let error as PostgresError
      where session.sentCommit && session.hasWritten && !error.leavesConnectionUsable
    {
      return .unanswered(
        value,
        UnansweredTransaction(number: number, started: session.started))
    } catch {
      // Refused before it was committed: nothing of it remains.
      numbers.end(number)
      session.rollBack()
      throw error
    }
  }
}
