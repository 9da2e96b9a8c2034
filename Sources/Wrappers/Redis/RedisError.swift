/// Why a Redis server did not do what it was asked. No message holds a password or a value.
public enum RedisError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The address cannot be understood; how it should look.
  case address(String)
  /// The server cannot be reached, or did not answer in time: the connection is of no use any more.
  case connection(String)
  /// The server answered with an error; its first word, such as `WRONGTYPE`.
  case refused(String)
  /// The server answered with something that the command does not give.
  case unexpectedReply

  /// One line for a log.
  public var description: String {
    switch self {
    case .address(let reason): "not a Redis address: \(reason)"
    case .connection(let reason): "no connection to Redis: \(reason)"
    case .refused(let code): "Redis refused: \(code)"
    case .unexpectedReply: "Redis gave an answer that does not fit the command"
    }
  }
}
