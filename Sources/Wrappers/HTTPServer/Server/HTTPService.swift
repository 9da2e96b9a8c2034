/// What the connections of one listener share.
final class HTTPService: Sendable {
  let handler: HTTPHandler
  let errorBody: @Sendable (Int, String) -> (body: [UInt8], contentType: String)
  /// The Server field line; empty when the server does not name itself.
  let serverLine: [UInt8]

  init(_ listener: HTTPListener, serverName: String?) {
    handler = listener.handler
    errorBody = listener.errorBody
    let isValid = serverName?.utf8.allSatisfy(CharacterClass.isFieldValue) ?? false
    serverLine = isValid ? Array("Server: \(serverName ?? "")\r\n".utf8) : []
  }
}
