import Crypto
import Glibc

/// One request and its answer over a connection of its own, blocking: HTTP/1.1 as far as the
/// Admin API speaks it, over TLS where the endpoint says so. Used by one thread.
final class HTTPExchange {
  private static let maximumHeadBytes = 64 << 10

  /// The status of the answer.
  private(set) var status = 0
  /// The fields of the answer, their names in lower case.
  private(set) var fields: [(name: String, value: String)] = []
  let descriptor: Int32
  private let session: TLSClientSession?
  private var buffer: [UInt8] = []
  /// Bytes of the body that have not been handed out; nil when it ends with the connection.
  private var left: Int?

  /// Connects, sends the request and receives the head of the answer. With TLS the server must be
  /// trusted by `trust` and be the one that the endpoint names.
  init(
    _ endpoint: AdminEndpoint, trust: TLSTrust = .system, timeoutSeconds: Int = 600,
    request: [UInt8]
  ) throws(AdminFailure) {
    do throws(CertificateError) {
      session =
        endpoint.isTLS ? try TLSClientSession(host: endpoint.host, trust: trust) : nil
    } catch {
      throw AdminFailure("TLS: \(error)")
    }
    descriptor = try Self.connect(endpoint, timeoutSeconds: timeoutSeconds)
    if let session { try handshake(session) }
    try send(request)
    try receiveHead()
  }

  deinit {
    close(descriptor)
  }

  /// The first value of a field by its name in lower case.
  func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

  /// The next bytes of the body; nil at its end. Throws when the connection ends before.
  func readPiece() throws(AdminFailure) -> [UInt8]? {
    if left == 0 { return nil }
    if buffer.isEmpty, try !receive() {
      guard left == nil else { throw AdminFailure("the answer was cut off") }
      return nil
    }
    let count = min(buffer.count, left ?? buffer.count)
    let piece = Array(buffer[..<count])
    buffer.removeFirst(count)
    left = left.map { $0 - count }
    return piece
  }

  /// The whole body; throws when it is longer than `limit`.
  func readBody(upTo limit: Int) throws(AdminFailure) -> [UInt8] {
    var result: [UInt8] = []
    while let piece = try readPiece() {
      guard piece.count <= limit - result.count else {
        throw AdminFailure("the answer is too long")
      }
      result += piece
    }
    return result
  }

  private func send(_ bytes: [UInt8]) throws(AdminFailure) {
    guard let session else { return try sendPlain(bytes) }
    do throws(CertificateError) {
      try session.write(bytes)
    } catch {
      throw AdminFailure("TLS: \(error)")
    }
    try sendPlain(session.takeOutput())
  }

  /// Appends to the buffer; false at the end of the connection.
  private func receive() throws(AdminFailure) -> Bool {
    let piece = if let session { try receive(session) } else { try receivePlain() }
    buffer += piece ?? []
    return piece != nil
  }

  private func receiveHead() throws(AdminFailure) {
    let end: Range<Int>
    while true {
      if let found = buffer.firstRange(of: [0x0d, 0x0a, 0x0d, 0x0a]) {
        end = found
        break
      }
      guard buffer.count <= Self.maximumHeadBytes, try receive() else {
        throw AdminFailure("the server does not speak HTTP/1.1")
      }
    }
    let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
      .split(separator: "\r\n")
    buffer.removeSubrange(..<end.upperBound)
    guard let first = lines.first, first.hasPrefix("HTTP/1.1 "),
      let status = Int(first.dropFirst(9).prefix(3)), (200...599).contains(status)
    else { throw AdminFailure("the server does not speak HTTP/1.1") }
    self.status = status
    for line in lines.dropFirst() {
      let pieces = line.split(separator: ":", maxSplits: 1)
      guard pieces.count == 2 else { continue }
      let value = pieces[1].drop { $0 == " " }
      fields.append((pieces[0].lowercased(), String(value)))
      switch pieces[0].lowercased() {
      case "content-length":
        guard let length = Int(value), length >= 0 else {
          throw AdminFailure("the server's answer has no valid length")
        }
        left = length
      case "transfer-encoding":
        throw AdminFailure("the server's answer comes in an unexpected coding")
      default: continue
      }
    }
    if status == 204 || status == 304 { left = 0 }
  }
}
