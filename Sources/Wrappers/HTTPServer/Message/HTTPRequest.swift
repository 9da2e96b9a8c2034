/// One request as a handler gets it.
public struct HTTPRequest: Sendable {
  /// Request line and header fields.
  public let head: HTTPRequestHead
  /// The body, which is read on demand.
  public let body: HTTPRequestBody
  /// The other end of the connection; behind a proxy, the proxy.
  public let remoteAddress: SocketAddress
  /// Whether the request came over TLS.
  public let isTLS: Bool
}
