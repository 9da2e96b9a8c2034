import Metadata
import Postgres

extension PostgresError {
  /// Whether nothing was changed and the same may succeed on another connection, or a moment later.
  ///
  /// True for transactions that collided. A row that another transaction inserted first is among
  /// them: the repository reads before it inserts, and finds it the second time.
  var isTransient: Bool {
    switch self {
    case .noConnection, .connectionLost: true
    case .refused(let state, _, _):
      state.endsSession || needsNewSession
        || [.serializationFailure, .deadlockDetected, .uniqueViolation].contains(state)
    case .invalidURL, .deadlineExceeded, .cancelled, .tooLarge, .invalidText, .failed: false
    }
  }

  /// Whether it tells of something that other idle connections have met too.
  var concernsAllConnections: Bool {
    switch self {
    case .connectionLost: true
    case .refused(let state, _, _): state.endsSession
    default: false
    }
  }

  /// Whether the session's prepared statements are not what they were.
  var needsNewSession: Bool {
    state == .invalidStatementName || state == .featureNotSupported || state == .readOnlyTransaction
  }

  /// What callers of metadata get.
  var asMetadataError: MetadataError {
    state == .diskFull ? .full : .unavailable(description)
  }
}

extension Error {
  /// What callers of metadata get.
  var asMetadataError: MetadataError {
    switch self {
    case let error as MetadataError: error
    case let error as PostgresError: error.asMetadataError
    case is CancellationError: .unavailable("cancelled")
    default: .unavailable("\(self)")
    }
  }
}
