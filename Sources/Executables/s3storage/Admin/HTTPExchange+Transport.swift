import Crypto
import Glibc

extension HTTPExchange {
  /// Connects a socket whose reads, writes and connecting give up after so many seconds.
  static func connect(
    _ endpoint: AdminEndpoint, timeoutSeconds: Int
  ) throws(AdminFailure) -> Int32 {
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

  /// Shakes hands, which shows that the server is trusted and the one that was asked for.
  func handshake(_ session: TLSClientSession) throws(AdminFailure) {
    while true {
      let isDone: Bool
      let failure: CertificateError?
      do throws(CertificateError) {
        isDone = try session.handshake()
        failure = nil
      } catch {
        isDone = false
        failure = error
      }
      // Also what tells the other end why it fails.
      try? sendPlain(session.takeOutput())
      if let failure { throw AdminFailure("TLS: \(failure)") }
      if isDone { return }
      guard let piece = try receivePlain() else {
        throw AdminFailure("the server closed the connection: does it speak TLS?")
      }
      session.receive(piece)
    }
  }

  /// Sends bytes as they are.
  func sendPlain(_ bytes: [UInt8]) throws(AdminFailure) {
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

  /// Bytes as they come; nil at the end of the connection.
  func receivePlain() throws(AdminFailure) -> [UInt8]? {
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
      return count == 0 ? nil : Array(piece[..<count])
    }
  }

  /// Decrypted bytes; nil when the server has said that nothing follows.
  func receive(_ session: TLSClientSession) throws(AdminFailure) -> [UInt8]? {
    while true {
      let result: TLSClientSession.ReadResult
      do throws(CertificateError) {
        result = try session.read()
      } catch {
        throw AdminFailure("TLS: \(error)")
      }
      let output = session.takeOutput()
      if !output.isEmpty { try sendPlain(output) }
      switch result {
      case .bytes(let bytes): return bytes
      case .ended: return nil
      case .needsInput:
        guard let piece = try receivePlain() else {
          throw AdminFailure("the answer was cut off")
        }
        session.receive(piece)
      }
    }
  }
}
