internal import ChunkStore
internal import GRPC

/// What a store's errors are on the wire, and back.
enum StatusMapping {
  /// Tells a store that is full from a message that the library found too large.
  private static let fullMessage = "store full"

  /// The status of an error. Its message is the error's own reason, which names no path.
  static func status(_ error: ChunkStoreError) -> RPCStatus {
    switch error {
    case .missing: RPCStatus(.notFound, "no such chunk")
    case .corrupt(let reason): RPCStatus(.dataLoss, clean(reason))
    case .offline(let reason): RPCStatus(.unavailable, clean(reason))
    case .full: RPCStatus(.resourceExhausted, fullMessage)
    case .fenced(let reason): RPCStatus(.failedPrecondition, clean(reason))
    case .tooLarge(let reason): RPCStatus(.outOfRange, clean(reason))
    case .io(let reason): RPCStatus(.internal, clean(reason))
    }
  }

  /// The error that a status stands for.
  static func error(_ status: RPCStatus) -> ChunkStoreError {
    let reason = clean(status.message)
    switch status.code {
    case .notFound: return .missing
    case .dataLoss: return .corrupt(reason)
    case .failedPrecondition: return .fenced(reason)
    case .outOfRange, .invalidArgument: return .tooLarge(reason)
    // What a server cannot do now says nothing about its chunks.
    case .resourceExhausted: return reason == fullMessage ? .full : .offline(reason)
    case .unavailable: return .offline(reason)
    case .deadlineExceeded: return .offline("no answer in time")
    case .cancelled: return .offline("the call was cancelled")
    case .unauthenticated, .permissionDenied:
      return .offline("the server refuses these credentials")
    case .unimplemented: return .offline("the server does not know the call")
    case .unknown: return .offline(reason)
    // Refused is what was asked, not who is asked.
    case .ok, .aborted, .alreadyExists, .internal: return .io(reason)
    }
  }

  /// At most 256 bytes of printable ASCII: what comes from another process goes to logs.
  static func clean(_ text: String) -> String {
    let bytes = text.utf8.prefix(256).map { (0x20...0x7e).contains($0) ? $0 : 0x3f }
    return String(decoding: bytes, as: UTF8.self)
  }
}
