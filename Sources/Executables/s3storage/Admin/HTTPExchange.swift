import Glibc

/// One request and its answer over a connection of its own, blocking: HTTP/1.1 as far as the
/// Admin API speaks it. Used by one thread.
final class HTTPExchange {
  private static let maximumHeadBytes = 64 << 10
  private static let timeoutSeconds = 600

  /// The status of the answer.
  private(set) var status = 0
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  /// Bytes of the body that have not been handed out; nil when it ends with the connection.
  private var left: Int?

  /// Connects, sends the request and receives the head of the answer.
  init(_ endpoint: AdminEndpoint, request: [UInt8]) throws(AdminFailure) {
    descriptor = try Self.connect(endpoint)
    try send(request)
    try receiveHead()
  }

  deinit {
    close(descriptor)
  }

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

  private static func connect(_ endpoint: AdminEndpoint) throws(AdminFailure) -> Int32 {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(endpoint.host, "\(endpoint.port)", &hints, &list)
    guard code == 0 else {
      throw AdminFailure("\(endpoint.host): \(unsafe String(cString: gai_strerror(code)))")
    }
    defer { unsafe freeaddrinfo(list) }
    var reason = ECONNREFUSED
    var next = unsafe list
    while let address = unsafe next {
      unsafe next = address.pointee.ai_next
      let made = unsafe socket(
        address.pointee.ai_family, address.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard made >= 0 else {
        reason = errno
        continue
      }
      var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
      let size = socklen_t(MemoryLayout<timeval>.size)
      unsafe setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
      unsafe setsockopt(made, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
      let connected = unsafe Glibc.connect(
        made, address.pointee.ai_addr, address.pointee.ai_addrlen)
      if connected == 0 { return made }
      reason = errno
      close(made)
    }
    throw AdminFailure(
      "no server at \(endpoint.authority): \(unsafe String(cString: strerror(reason)))")
  }

  private func send(_ bytes: [UInt8]) throws(AdminFailure) {
    var done = 0
    while done < bytes.count {
      let count = unsafe bytes[done...].withUnsafeBytes { piece in
        unsafe Glibc.send(descriptor, piece.baseAddress, piece.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw AdminFailure("the server closed the connection") }
      done += count
    }
  }

  /// Appends to the buffer; false at the end of the connection.
  private func receive() throws(AdminFailure) -> Bool {
    var piece = [UInt8](repeating: 0, count: 256 << 10)
    while true {
      let count = unsafe piece.withUnsafeMutableBytes {
        unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
      }
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else {
        throw AdminFailure(
          errno == EAGAIN ? "the server does not answer" : "the server closed the connection")
      }
      buffer += piece[..<count]
      return count > 0
    }
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
