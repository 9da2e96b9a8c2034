/// How a metadata database in PostgreSQL is used. Times are milliseconds.
public struct PostgresOptions: Sendable {
  /// Connections at most; 20 to 50 serve a gateway.
  public var poolSize = 20
  /// Requests that wait for a connection at most; those above it fail at once.
  public var maximumWaiting = 1024
  /// How long a request waits for a connection.
  public var patience = 5000
  /// How long connecting may take.
  public var connectTimeout = 5000
  /// How long the server works on one statement, waiting for locks included.
  public var statementTimeout = 30_000
  /// How long one round trip may take, however the server fares: above `statementTimeout`.
  public var answerTimeout = 33_000
  /// How long a read or write is tried again while the database is away or transactions collide.
  public var retryTime = 5000
  /// How long a request waits to learn whether its transaction was committed.
  public var resolveTime = 15_000
  /// For a pooler in transaction mode between here and the server: no prepared statements and no
  /// settings of the session. What `PostgresDriver.sessionSettings` lists is then set for the role
  /// (`ALTER ROLE … SET`).
  public var usesPooler = false

  /// The defaults.
  public init() {}
}
