import Glibc

/// A blocking TCP connection to a port of the loopback address, which sends exactly the bytes it is
/// told to. Used by one thread at a time.
public final class LoopbackConnection: @unchecked Sendable {
  /// A call of the system failed.
  public struct Failure: Error {
    /// As `errno` has it.
    public let code: Int32
  }

  /// The socket; -1 once it is closed.
  public private(set) var descriptor: Int32

  /// Connects; the socket keeps at most `receiveBuffer` bytes that nobody has read, where it is set.
  public init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure(code: errno) }
    if var size = receiveBuffer {
      setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    var one: Int32 = 1
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Failure(code: errno) }
  }

  deinit { disconnect() }

  /// Closes it in order.
  public func disconnect() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
  }

  /// Ends it by a reset.
  public func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    disconnect()
  }

  /// Tells the other end that nothing more comes.
  public func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends all bytes; false when the other end does not take them any more.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return false }
      done += count
    }
    return true
  }

  /// Receives once, at most `limit` bytes; nothing at the end of the connection, nil when it failed.
  public func receive(limit: Int = 64 << 10) -> [UInt8]? {
    var piece = [UInt8](repeating: 0, count: limit)
    while true {
      let count = recv(descriptor, &piece, limit, 0)
      if count < 0 && errno == EINTR { continue }
      return count < 0 ? nil : Array(piece[..<count])
    }
  }

  /// Receives until the other end closes.
  public func receiveAll() -> [UInt8] {
    var result: [UInt8] = []
    while let piece = receive(), !piece.isEmpty { result += piece }
    return result
  }
}
