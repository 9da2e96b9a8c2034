/// Why a body could not be moved.
public enum HTTPTransferError: Error, Equatable, Sendable {
  /// The client's framing is broken; the reason is a fixed text. Answer 400.
  case malformed(String)
  /// The client sent or took nothing for too long, or too little. Answer 408 if still possible.
  case timedOut
  /// The client has gone, or ended its direction within the body; or the server was cut off.
  case disconnected
  /// The task was cancelled while it waited.
  case cancelled
  /// `collect` met more than it was allowed to. Answer 413.
  case tooLarge
  /// More bytes were written than the response announced.
  case tooLong
  /// The body or writer was used by two tasks at once, after its request had ended, or the body
  /// for the first time after the response had begun.
  case misused
}
