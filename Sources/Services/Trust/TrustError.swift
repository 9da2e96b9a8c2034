/// Why a request for trust is refused. None of the texts holds a secret or tells more than the
/// caller has shown to know.
public enum TrustError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The request is not what it should be.
  case malformed(String)
  /// The proof is missing or wrong: a key, token or secret that fits is not known.
  case unauthorized
  /// The clocks of the two ends differ too much.
  case clock
  /// The request was there before, or a later one of the same sender was.
  case replayed
  /// The sender is known and may not do this.
  case refused(String)
  /// It contradicts what is there.
  case conflict(String)
  /// No such thing.
  case notFound(String)
  /// Too many failures of this sender.
  case tooMany
  /// Something is missing that an operator has to make.
  case notReady(String)
  /// Stored trust cannot be read: the reason, for a log.
  case damaged(String)

  /// What is wrong.
  public var description: String {
    switch self {
    case .malformed(let reason), .refused(let reason), .conflict(let reason),
      .notFound(let reason), .notReady(let reason):
      reason
    case .unauthorized: "the proof is missing or does not fit"
    case .clock: "the clocks differ by more than five minutes"
    case .replayed: "the request was made before"
    case .tooMany: "too many failures: wait a minute"
    case .damaged(let reason): "stored trust cannot be read: \(reason)"
    }
  }
}
