import Glibc
import Runtime
import TestSupport

/// A blocking client over one connection, and what it has received.
final class TestClient {
  enum End: Equatable {
    case closed, reset, timedOut
  }

  private let connection: LoopbackConnection
  private(set) var received: [UInt8] = []

  /// Connects to a port of the loopback address.
  init(port: UInt16, receiveBuffer: Int32? = nil) throws {
    connection = try LoopbackConnection(port: port, receiveBuffer: receiveBuffer)
  }

  func disconnect() { connection.disconnect() }

  /// Ends the connection by a reset.
  func reset() { connection.reset() }

  func endSending() { connection.endSending() }

  /// Sends all bytes; false when the server does not take them any more.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Bool { connection.send(bytes) }

  /// Sends `bytes` again and again until the server takes no more for so long, or `limit` bytes;
  /// returns how many it took.
  func sendUntilFull(_ bytes: [UInt8], limit: Int, within milliseconds: Int32) -> Int {
    var total = 0
    var poller = pollfd(fd: connection.descriptor, events: Int16(POLLOUT), revents: 0)
    while total < limit {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          connection.descriptor, $0.baseAddress, bytes.count,
          Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
      }
      if count > 0 {
        total += count
      } else if errno == EAGAIN {
        guard poll(&poller, 1, milliseconds) > 0 else { return total }
      } else if errno != EINTR {
        return total
      }
    }
    return total
  }

  @discardableResult
  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Receives once more; nil when bytes came.
  func receiveMore(within milliseconds: Int32 = 600_000) -> End? {
    var poller = pollfd(fd: connection.descriptor, events: Int16(POLLIN), revents: 0)
    while true {
      let ready = poll(&poller, 1, milliseconds)
      if ready < 0 && errno == EINTR { continue }
      if ready == 0 { return .timedOut }
      break
    }
    guard let piece = connection.receive() else { return .reset }
    received += piece
    return piece.isEmpty ? .closed : nil
  }

  /// Receives until the server closes.
  @discardableResult
  func receiveAll() -> End {
    while true {
      if let end = receiveMore() { return end }
    }
  }

  /// Receives until `isEnough`; false when the connection ended before.
  @discardableResult
  func receive(until isEnough: ([UInt8]) -> Bool) -> Bool {
    while !isEnough(received) {
      if receiveMore() != nil { return isEnough(received) }
    }
    return true
  }

  /// Receives until this many whole responses with a Content-Length are here.
  @discardableResult
  func receive(responses count: Int) -> Bool {
    receive { TestResponse.parseAll($0).count >= count }
  }

  /// Forgets what was received.
  func forget() { received = [] }

  var text: String { String(decoding: received, as: UTF8.self) }

  /// The status codes of all response heads received, 100s included.
  var statuses: [Int] { TestResponse.statuses(in: received) }
}

/// One response as a client sees it.
struct TestResponse {
  var status: Int
  var head: String
  var body: [UInt8]

  /// Splits a byte stream of responses that have a Content-Length or are chunked.
  static func parseAll(_ bytes: [UInt8]) -> [TestResponse] {
    var result: [TestResponse] = []
    var rest = bytes[...]
    while let end = rest.firstRange(of: Array("\r\n\r\n".utf8)) {
      let head = String(decoding: rest[..<end.lowerBound], as: UTF8.self)
      guard head.hasPrefix("HTTP/1.1 "), let status = Int(head.dropFirst(9).prefix(3)) else {
        break
      }
      let lines = head.split(separator: "\r\n").map { $0.lowercased() }
      let length = lines.first { $0.hasPrefix("content-length: ") }.flatMap {
        Int($0.dropFirst(16))
      }
      guard rest.endIndex - end.upperBound >= length ?? 0 else { break }
      let bodyEnd = end.upperBound + (length ?? 0)
      result.append(
        TestResponse(status: status, head: head, body: Array(rest[end.upperBound..<bodyEnd])))
      rest = rest[bodyEnd...]
    }
    return result
  }

  static func statuses(in bytes: [UInt8]) -> [Int] {
    let marker = Array("HTTP/1.1 ".utf8)
    var result: [Int] = []
    var rest = bytes[...]
    while let found = rest.firstRange(of: marker) {
      let digits = String(decoding: rest[found.upperBound...].prefix(3), as: UTF8.self)
      if let status = Int(digits) { result.append(status) }
      rest = rest[found.upperBound...]
    }
    return result
  }
}
