/// Where an Admin API is: `http://host:port` or `https://host:port`.
struct AdminEndpoint {
  /// A name or an address, an IPv6 one without brackets.
  let host: String
  let port: UInt16
  /// Whether it speaks TLS.
  let isTLS: Bool
  /// Host and port as the Host field has them.
  let authority: String

  /// Reads an endpoint; throws for anything but HTTP to a host. The port is 9001 unless given.
  init(_ text: String) throws(AdminUsageError) {
    var rest = Substring(text)
    isTLS = text.lowercased().hasPrefix("https://")
    if isTLS {
      rest = rest.dropFirst(8)
    } else if text.lowercased().hasPrefix("http://") {
      rest = rest.dropFirst(7)
    }
    while rest.last == "/" { rest.removeLast() }
    var port: UInt16? = 9001
    let host: Substring
    if rest.first == "[", let end = rest.firstIndex(of: "]") {
      host = rest[rest.index(after: rest.startIndex)..<end]
      let tail = rest[rest.index(after: end)...]
      if !tail.isEmpty { port = tail.first == ":" ? UInt16(tail.dropFirst()) : nil }
    } else if let colon = rest.lastIndex(of: ":") {
      host = rest[..<colon]
      port = UInt16(rest[rest.index(after: colon)...])
    } else {
      host = rest
    }
    guard let port, port > 0, !host.isEmpty, host.utf8.count <= 253,
      host.utf8.allSatisfy({ byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x3a, 0x5f: true
        default: false
        }
      })
    else { throw AdminUsageError("the endpoint is http://host:port or https://host:port") }
    self.host = String(host)
    self.port = port
    authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
