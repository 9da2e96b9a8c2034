/// What a Redis server answered.
public enum RedisReply: Hashable, Sendable {
  /// There is no such value.
  case null
  /// A number.
  case integer(Int64)
  /// A value.
  case bytes([UInt8])
  /// A word such as `OK`.
  case status(String)
  /// Several answers.
  case array([RedisReply])
  /// An error; its first word.
  case failure(String)
}
