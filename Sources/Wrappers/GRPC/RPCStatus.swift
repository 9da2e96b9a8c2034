/// How a call ended.
public struct RPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
  /// The codes of gRPC.
  public enum Code: Int, Hashable, Sendable, CaseIterable {
    /// Success.
    case ok = 0
    /// The caller gave the call up.
    case cancelled = 1
    /// No code says it.
    case unknown = 2
    /// The request is wrong whatever the state of the server.
    case invalidArgument = 3
    /// Too late.
    case deadlineExceeded = 4
    /// There is no such thing.
    case notFound = 5
    /// It is there already.
    case alreadyExists = 6
    /// The caller may not do it.
    case permissionDenied = 7
    /// Something is used up: space, memory, or the bound of a message.
    case resourceExhausted = 8
    /// The state of the server forbids it.
    case failedPrecondition = 9
    /// A conflict with another call.
    case aborted = 10
    /// Past the bounds.
    case outOfRange = 11
    /// There is no such method.
    case unimplemented = 12
    /// The server failed.
    case `internal` = 13
    /// The server cannot be reached.
    case unavailable = 14
    /// Data is lost or damaged.
    case dataLoss = 15
    /// Nobody knows who the caller is.
    case unauthenticated = 16
  }

  /// The code; `unknown` for a number that has none.
  public var code: Code
  /// What the other side, or the library, says of it. From outside: not to be trusted.
  public var message: String

  /// Makes a status.
  public init(_ code: Code, _ message: String = "") {
    self.code = code
    self.message = message
  }

  /// For a log.
  public var description: String {
    message.isEmpty ? "\(code)" : "\(code): \(message)"
  }
}
