/// Bytes that do not follow the format they claim to follow.
///
/// Decoders of everything that lies on a disk or comes over a wire throw it; none of them traps.
public struct FormatError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was expected and not found, for a log; holds no user data.
  public var message: String

  /// Makes an error with a message that names the format and the field.
  public init(_ message: String) {
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
