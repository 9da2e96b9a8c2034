import Foundation
import Glibc

/// A redis-server of one test, on a free port of the loopback; it ends with the object, and with
/// the test process at the latest.
public final class RedisServer: @unchecked Sendable {
  // `Sendable`: the process is stopped and started by one test at a time.
  /// Where it listens.
  public let port: UInt16
  private let arguments: [String]
  private var process: Process

  /// Starts a server, with a password where one is given, and waits until it answers.
  public init(password: String? = nil) throws {
    port = try Self.freePort()
    var arguments = [
      "--pdeathsig", "KILL", "redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--save",
      "", "--appendonly", "no", "--dir", "/tmp", "--loglevel", "warning",
    ]
    if let password { arguments += ["--requirepass", password] }
    self.arguments = arguments
    process = try Self.launch(arguments)
    try waitUntilItListens()
  }

  deinit { stop() }

  /// The address, with a password where one is given.
  public func url(password: String? = nil) -> String {
    "redis://\(password.map { ":\($0)@" } ?? "")127.0.0.1:\(port)"
  }

  /// Kills the server.
  public func stop() {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  /// Starts it again, empty.
  public func restart() throws {
    stop()
    process = try Self.launch(arguments)
    try waitUntilItListens()
  }

  /// Stops (or continues) the process without ending it: it accepts and does not answer.
  public func freeze(_ isFrozen: Bool) {
    kill(process.processIdentifier, isFrozen ? SIGSTOP : SIGCONT)
  }

  private static func launch(_ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/setpriv")
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  private struct NotStarted: Error {}

  private func waitUntilItListens() throws {
    for _ in 0..<2000 {
      guard process.isRunning else { throw NotStarted() }
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      defer { close(descriptor) }
      var address = Self.address(port)
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if status == 0 { return }
      usleep(5000)
    }
    throw NotStarted()
  }

  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  /// A port of the loopback that nobody listens on now.
  public static func freePort() throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    for _ in 0..<200 {
      let port = UInt16.random(in: 12_000..<32_000)
      var address = Self.address(port)
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      if status == 0 { return port }
    }
    throw NotStarted()
  }
}
