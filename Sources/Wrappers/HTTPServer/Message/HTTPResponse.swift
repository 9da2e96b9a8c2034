/// What a handler answers.
///
/// The server adds `Date`, `Server`, the framing fields and `Connection`. A handler must not set
/// `Transfer-Encoding` or `Connection`; `Content-Length` it may set to what the body has, or, for
/// HEAD and 304 with `.none`, to what a GET would have. Names must be tokens and values free of
/// controls. A response that breaks these rules becomes a 500, since it could be read as two.
public struct HTTPResponse: Sendable {
  /// The content.
  public enum Body: Sendable {
    /// Nothing.
    case none
    /// All of it at once.
    case bytes([UInt8])
    /// What the closure writes, after the handler has returned and while the request's body may
    /// still be read. With a length exactly so many bytes must be written; without, the chunked
    /// coding is used, or, for HTTP/1.0, the end of the connection. When the closure throws, the
    /// connection is cut, or, if nothing was written yet, a 500 sent. It is not called for HEAD.
    case stream(length: Int?, @Sendable (HTTPBodyWriter) async throws -> Void)
  }

  /// 200 to 599.
  public var status: Int
  /// Header fields in the order they are sent.
  public var headers: [(name: String, value: String)]
  /// The content.
  public var body: Body
  /// Whether the connection is closed after this response.
  public var closesConnection = false

  /// Makes a response.
  public init(
    status: Int, headers: [(name: String, value: String)] = [], body: Body = .none
  ) {
    self.status = status
    self.headers = headers
    self.body = body
  }
}

/// Answers requests. It runs on the event loop of its connection: what blocks goes to a thread
/// pool. The task is cancelled when the client disconnects (see `HTTPLimits.HalfClose`) or the
/// server cuts the connection; reads and writes that would wait then throw. An error it throws
/// becomes a 500 without details; a transfer error of the request's body becomes what its
/// documentation says.
public typealias HTTPHandler = @Sendable (HTTPRequest) async throws -> HTTPResponse
