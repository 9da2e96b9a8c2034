/// Why the database did not do what was asked.
///
/// No case holds a password, a value of a row or a statement.
public enum PostgresError: Error, Hashable, Sendable {
  /// The URL cannot be understood.
  case invalidURL
  /// There is no connection: none could be made.
  case noConnection(String)
  /// The connection is gone; whether the statements that were sent have run is not known.
  case connectionLost(String)
  /// The deadline passed; the connection is of no use any more.
  case deadlineExceeded
  /// The waiting was given up; the connection is of no use any more.
  case cancelled
  /// The server refused a statement: its SQLSTATE, its message, and the constraint that was
  /// violated, empty where there is none.
  case refused(SQLState, message: String, constraint: String)
  /// More or longer values than the protocol, or this wrapper, takes; nothing was sent.
  case tooLarge
  /// Text with a zero byte, which the database cannot hold; nothing was sent.
  case invalidText
  /// The library gave no memory, or was used wrongly.
  case failed(String)

  /// The SQLSTATE of a refusal.
  public var state: SQLState? {
    if case .refused(let state, _, _) = self { return state }
    return nil
  }

  /// Whether the connection can be used after it.
  public var leavesConnectionUsable: Bool {
    switch self {
    case .refused(let state, _, _): !state.endsSession
    case .tooLarge, .invalidText: true
    case .invalidURL, .noConnection, .connectionLost, .deadlineExceeded, .cancelled, .failed:
      false
    }
  }
}

extension PostgresError: CustomStringConvertible {
  /// For logs and errors.
  public var description: String {
    switch self {
    case .invalidURL: "the database's URL is not one: postgresql://user@host:port/name"
    case .noConnection(let reason): "no connection to the database: \(reason)"
    case .connectionLost(let reason): "the connection to the database was lost: \(reason)"
    case .deadlineExceeded: "the database did not answer in time"
    case .cancelled: "cancelled while the database worked"
    case .refused(let state, let message, _): "the database refused: \(message) (\(state.code))"
    case .tooLarge: "more data than one statement takes"
    case .invalidText: "text with a zero byte"
    case .failed(let reason): "the database's client library: \(reason)"
    }
  }
}

/// The five characters by which PostgreSQL names an error
/// (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
public struct SQLState: Hashable, Sendable {
  /// The characters.
  public let code: String

  /// Wraps the characters.
  public init(_ code: String) { self.code = code }

  /// `serialization_failure`
  public static let serializationFailure = SQLState("40001")
  /// `deadlock_detected`
  public static let deadlockDetected = SQLState("40P01")
  /// `unique_violation`
  public static let uniqueViolation = SQLState("23505")
  /// `undefined_table`
  public static let undefinedTable = SQLState("42P01")
  /// `query_canceled`: by the statement's time-out, or on request
  public static let queryCancelled = SQLState("57014")
  /// `lock_not_available`
  public static let lockNotAvailable = SQLState("55P03")
  /// `invalid_sql_statement_name`: a pooler gave the session to another
  public static let invalidStatementName = SQLState("26000")
  /// `feature_not_supported`: among others, a prepared statement whose tables were changed
  public static let featureNotSupported = SQLState("0A000")
  /// `read_only_sql_transaction`
  public static let readOnlyTransaction = SQLState("25006")
  /// `disk_full`
  public static let diskFull = SQLState("53100")

  /// Whether the server ends the session with it: classes 08 and 57P (shutdown, crash, not yet up),
  /// and the time-outs of idle sessions.
  public var endsSession: Bool {
    code.hasPrefix("08") || code.hasPrefix("57P") || code == "25P03"
  }
}
