import Glibc

/// A blocking TCP connection that sends exactly the bytes it is told to.
final class RawConnection {
  enum Failure: Error {
    case system(Int32)
    case noAnswer(String)
  }

  private let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure.system(errno) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else { throw Failure.system(errno) }
  }

  deinit { close(descriptor) }

  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool {
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

  /// Receives until the server closes.
  func receiveAll() -> [UInt8] {
    var result: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = recv(descriptor, &piece, piece.count, 0)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { return result }
      result += piece[..<count]
    }
  }

  static func parse(_ bytes: [UInt8], isHead: Bool) throws -> S3Answer {
    var bytes = bytes[...]
    while true {
      guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else {
        throw Failure.noAnswer(String(decoding: bytes, as: UTF8.self))
      }
      let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        .split(separator: "\r\n").map(String.init)
      guard let first = lines.first, let status = Int(first.dropFirst(9).prefix(3)) else {
        throw Failure.noAnswer(String(decoding: bytes, as: UTF8.self))
      }
      bytes = bytes[end.upperBound...]
      if status == 100 { continue }
      let headers = lines.dropFirst().map { line in
        let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
        let value = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
        return (name: parts[0], value: String(value))
      }
      return S3Answer(status: status, headers: headers, body: Array(bytes))
    }
  }
}
