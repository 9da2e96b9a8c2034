/// One address that a server listens on, and who answers there.
public struct HTTPListener: Sendable {
  /// A numeric IPv4 or IPv6 address; `::` takes clients of both families.
  public var address: String
  /// The port; 0 lets the system choose one.
  public var port: UInt16
  /// Certificate and key; nil for plain HTTP.
  public var tls: TLSFiles?
  /// Answers the requests.
  public var handler: HTTPHandler
  /// Makes the body and media type of answers that the server itself gives: refused requests and
  /// failed handlers. It gets the status and a short fixed reason.
  public var errorBody: @Sendable (Int, String) -> (body: [UInt8], contentType: String)

  /// Makes a listener.
  public init(
    address: String, port: UInt16, tls: TLSFiles? = nil,
    errorBody: @escaping @Sendable (Int, String) -> (body: [UInt8], contentType: String) = {
      status, reason in
      (Array("\(status) \(reason)\n".utf8), "text/plain; charset=utf-8")
    },
    handler: @escaping HTTPHandler
  ) {
    self.address = address
    self.port = port
    self.tls = tls
    self.errorBody = errorBody
    self.handler = handler
  }
}

/// Where the certificate of a listener is.
public struct TLSFiles: Sendable, Hashable {
  /// A PEM file: the certificate, then the chain up to but without the root.
  public var certificateChain: String
  /// A PEM file with the private key, not encrypted.
  public var privateKey: String

  /// Names the two files.
  public init(certificateChain: String, privateKey: String) {
    self.certificateChain = certificateChain
    self.privateKey = privateKey
  }
}
