import Base
public import Metadata
import Postgres
import Runtime
import Synchronization
import Telemetry

/// A metadata database in PostgreSQL.
///
/// Statements run on threads of the driver's own, one for each connection, which wait for the
/// server with `poll(2)`: a statement is one sleep of one thread, and costs no hop. A statement that
/// reads alone is one round trip. A transaction is READ COMMITTED: what has to stay as it was read
/// is locked by the repository's statements (`FOR UPDATE`, `FOR KEY SHARE`). It begins with its
/// first statement, and everything that it kept back goes out with its commit.
///
/// Nothing depends on a session but prepared statements and the settings below, and neither is used
/// with `PostgresOptions.usesPooler`.
public final class PostgresDriver: SQLDriver {
  /// PostgreSQL.
  public let dialect = SQLDialect.postgres
  /// What was done so far.
  public let metrics = PostgresMetrics()
  let target: ConnectionTarget
  let options: PostgresOptions
  let threads: ThreadPool
  let pool: ConnectionPool
  /// For those who find out what became of a commit: it may hold locks that all others wait for.
  let resolvers: ConnectionPool
  let context: SessionContext
  let numbers: TransactionNumbers
  let log: Log
  let unresolved = Mutex<[Int64: UnansweredTransaction]>([:])
  private let random: any RandomSource

  /// Prepares to connect to `url`, without doing so yet.
  ///
  /// `threads` runs the statements: it has as many threads as there are connections, those of the
  /// resolver included, or those that hold locks may wait for a thread that waits for them. `clock`
  /// replaces the database's clock in tests.
  init(
    url: String, threads: ThreadPool?, clock: (any WallClock)?, random: any RandomSource,
    options: PostgresOptions, log: Log
  ) throws(MetadataError) {
    do throws(PostgresError) {
      var target = try ConnectionTarget(url)
      if !options.usesPooler { target.sessionSettings = Self.settings(options) }
      self.target = target
    } catch {
      throw error.asMetadataError
    }
    self.options = options
    self.log = log
    self.random = random
    self.threads =
      threads
      ?? ThreadPool(
        name: "postgres", threadCount: max(options.poolSize, 1) + Self.resolverConnections)
    pool = ConnectionPool(
      size: options.poolSize, maximumWaiting: options.maximumWaiting, patience: options.patience)
    resolvers = ConnectionPool(
      size: Self.resolverConnections, maximumWaiting: options.maximumWaiting,
      patience: options.patience)
    context = SessionContext(
      clock: clock, keepsStatements: !options.usesPooler,
      localSettings: options.usesPooler
        ? [("statement_timeout", String(options.statementTimeout))] : [],
      answerTimeout: options.answerTimeout, metrics: metrics)
    numbers = TransactionNumbers(process: Int64(bitPattern: random.next()))
  }

  /// Connections beside those of the pool, open only while an outcome is looked for.
  private static let resolverConnections = 2

  /// What each session is set to. Behind a pooler, the role has to be (`ALTER ROLE … SET`).
  public static var sessionSettings: [(name: String, value: String)] {
    settings(PostgresOptions())
  }

  private static func settings(_ options: PostgresOptions) -> [(name: String, value: String)] {
    [
      ("statement_timeout", String(options.statementTimeout)),
      // A session whose client is gone gives its locks back.
      ("idle_in_transaction_session_timeout", "60000"),
      ("client_connection_check_interval", "2000"), ("tcp_keepalives_idle", "10"),
      ("tcp_keepalives_interval", "5"), ("tcp_keepalives_count", "3"),
      // Every statement has an index, at any size of the tables: one plan, made once, that never
      // tips over to reading a table, and no time spent on compiling it.
      // Nor are rows collected and sorted that an index has in order.
      ("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"),
      ("enable_bitmapscan", "off"), ("jit", "off"),
    ]
  }

  /// Connections at most, open, idle, and requests that wait for one: `db_connection_pool_size`,
  /// `db_connection_pool_idle`.
  public var connections: (size: Int, open: Int, idle: Int, waiting: Int) {
    let gauges = pool.gauges
    return (pool.size, gauges.open, gauges.idle, gauges.waiting)
  }

  /// Hands out no connection any more and closes those that are idle; the others close when what
  /// runs on them has ended.
  public func close() async {
    pool.close()
    resolvers.close()
  }

  /// Not done by the driver: `pg_dump`, and the logical snapshots of the metadata, copy it.
  public func backup(to path: String) async throws {
    throw MetadataError.unavailable(
      "a file copy is made of embedded databases only; PostgreSQL is backed up with its own tools")
  }

  // MARK: - Reading

  /// Runs statements that read: again on another connection when the one they had was lost. Ends
  /// early, at the cost of a connection, when the task is cancelled.
  public func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    let deadline = Deadline(milliseconds: options.retryTime)
    var attempt = 0
    while true {
      do {
        return try await withConnection { pooled in
          // Nothing is lost with a read, so that one which nobody waits for ends at once.
          let interrupter = pooled.connection.interrupter
          return try await withTaskCancellationHandler {
            let session = PostgresSession(pooled.connection, self.context, .read)
            defer { session.rollBack() }
            return try await body(session)
          } onCancel: {
            interrupter.interrupt()
          }
        }
      } catch {
        attempt += 1
        try await pause(after: error, attempt: attempt, until: deadline)
      }
    }
  }

  // MARK: - Connections

  /// Runs `body` on a thread of the driver with a connection, and gives it back or closes it.
  func withConnection<T: Sendable>(
    _ body: @escaping @Sendable (PooledConnection) async throws -> T
  ) async throws -> T {
    try await withConnection(of: pool, body)
  }

  /// The same with a connection of the resolver's, which is closed afterwards.
  func withResolverConnection<T: Sendable>(
    _ body: @escaping @Sendable (PooledConnection) async throws -> T
  ) async throws -> T {
    try await withConnection(of: resolvers, body)
  }

  private func withConnection<T: Sendable>(
    of pool: ConnectionPool, _ body: @escaping @Sendable (PooledConnection) async throws -> T
  ) async throws -> T {
    let grant = try await pool.take()
    return try await withTaskExecutorPreference(threads) {
      try await self.use(grant, of: pool, body)
    }
  }

  @concurrent
  private func use<T: Sendable>(
    _ grant: ConnectionPool.Grant, of pool: ConnectionPool,
    _ body: @Sendable (PooledConnection) async throws -> T
  ) async throws -> T {
    let pooled: PooledConnection
    do {
      pooled = try connection(for: grant)
    } catch {
      pool.drop()
      throw error
    }
    do {
      let value = try await body(pooled)
      giveBack(pooled, to: pool)
      return value
    } catch {
      if let error = error as? PostgresError {
        if error.concernsAllConnections { pool.distrust(pooled.generation) }
        if error.needsNewSession {
          pool.drop()
          throw error
        }
      }
      giveBack(pooled, to: pool)
      throw error
    }
  }

  private func giveBack(_ pooled: PooledConnection, to pool: ConnectionPool) {
    if pool !== resolvers, pooled.connection.isAlive { pool.give(pooled) } else { pool.drop() }
  }

  /// The connection that was granted, or a new one where it has gone away while it was idle.
  private func connection(for grant: ConnectionPool.Grant) throws(PostgresError)
    -> PooledConnection
  {
    let generation: Int
    switch grant {
    case .connection(let pooled):
      if pooled.connection.isAlive { return pooled }
      generation = pooled.generation
    case .permit(let number): generation = number
    }
    let deadline = Deadline(milliseconds: options.connectTimeout)
    let connection = try Connection.open(target, deadline: deadline)
    try ServerCheck.check(connection, deadline)
    return PooledConnection(connection, generation: generation)
  }

  private static let maximumCollisions = 5

  /// Waits before another attempt, longer each time and by a random part; throws where another
  /// would not help or it is too late.
  func pause(after error: any Error, attempt: Int, until deadline: Deadline) async throws {
    guard let failure = error as? PostgresError, failure.isTransient, !deadline.hasPassed,
      !Task.isCancelled
    else { throw error.asMetadataError }
    // One that comes back every time is no collision.
    guard failure.state != .uniqueViolation || attempt <= Self.maximumCollisions else {
      throw failure.asMetadataError
    }
    metrics.count(\.retried)
    // The first one after a collision, or with a connection that had gone stale, need not wait.
    guard attempt > 1 else { return }
    let longest = min(1 << min(attempt, 9), 500)
    let milliseconds = min(
      1 + Int(random.next() % UInt64(longest)), deadline.remainingMilliseconds)
    do {
      try await Task.sleep(for: .milliseconds(milliseconds))
    } catch {
      throw failure.asMetadataError
    }
  }
}
