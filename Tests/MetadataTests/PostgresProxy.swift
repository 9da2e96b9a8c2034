import Foundation
import Synchronization

/// Stands between a driver and the server, and cuts or delays on cue.
final class PostgresProxy: Sendable {
  /// What becomes of a run of bytes that the client sent.
  enum Action: String, Sendable, CaseIterable {
    /// It goes to the server.
    case forward
    /// The client is cut off, and the server too, which gets nothing of it.
    case cut
    /// The server gets it and answers; the client is cut off instead of hearing the answer.
    case loseAnswer
    /// The server gets half of it and waits for the rest; the client is cut off.
    case half
    /// The client is cut off at once, and the server gets it much later.
    case late
    /// The server gets it, and the client hears nothing more, but is not cut off.
    case hang
    /// The server gets it a few milliseconds later.
    case slow
  }

  /// A run of bytes from a client: its number since `onChunk` was called, and whether it commits.
  struct Chunk: Sendable {
    var number: Int
    var commits: Bool
  }

  private struct State {
    var rule: @Sendable (Chunk) -> Action = { _ in .forward }
    var count = 0
    var accepts = true
    var descriptors: [Int32] = []
  }

  let directory: String
  private let upstream: String
  private let listener: Int32
  private let state = Mutex(State())

  /// How slow is slow.
  static let pause: UInt32 = 5_000
  /// How late is late.
  static let delay: UInt32 = 1_000_000

  init(server: String) throws {
    directory = server + "/proxy" + UUID().uuidString.prefix(8)
    upstream = server + "/.s.PGSQL.5432"
    try FileManager.default.createDirectory(
      atPath: directory, withIntermediateDirectories: false)
    listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let path = directory + "/.s.PGSQL.5432"
    guard Self.withAddress(path, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
      throw CocoaError(.fileWriteUnknown)
    }
    Thread.detachNewThread { [listener, state = StateBox(self)] in
      while true {
        let client = accept(listener, nil, nil)
        if client < 0 { return }
        guard let proxy = state.proxy else {
          close(client)
          return
        }
        proxy.serve(client)
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
    for descriptor in state.withLock({ $0.descriptors }) { shutdown(descriptor, Int32(SHUT_RDWR)) }
  }

  private final class StateBox: @unchecked Sendable {
    weak var proxy: PostgresProxy?
    init(_ proxy: PostgresProxy) { self.proxy = proxy }
  }

  func url(_ database: String) -> String {
    "postgresql:///\(database)?host=\(directory)&user=postgres"
  }

  /// Sets the rule for runs of bytes from now on, which are counted from 0.
  func onChunk(_ rule: @escaping @Sendable (Chunk) -> Action) {
    state.withLock { state in
      state.rule = rule
      state.count = 0
    }
  }

  /// Refuses new connections, or takes them again.
  func setAccepts(_ accepts: Bool) { state.withLock { $0.accepts = accepts } }

  private func serve(_ client: Int32) {
    let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    let accepts = state.withLock { state in
      state.descriptors += [client, server]
      return state.accepts
    }
    guard accepts, Self.withAddress(upstream, { connect(server, $0, $1) }) == 0 else {
      forget(client, server)
      return
    }
    Thread.detachNewThread { [weak self] in
      var isHung = false
      Self.pump(client, server) { bytes, fromClient in
        if !fromClient { return !isHung && Self.send(client, bytes) }
        let action = self?.decide(bytes) ?? .cut
        switch action {
        case .forward: return Self.send(server, bytes)
        case .slow:
          usleep(Self.pause)
          return Self.send(server, bytes)
        case .cut: return false
        case .loseAnswer:
          _ = Self.send(server, bytes)
          _ = Self.receive(server)
          return false
        case .half:
          _ = Self.send(server, bytes[..<(bytes.count / 2)])
          shutdown(client, Int32(SHUT_RDWR))
          // Left open: the server knows nothing of the end.
          while Self.receive(server) != nil {}
          return false
        case .late:
          shutdown(client, Int32(SHUT_RDWR))
          usleep(Self.delay)
          _ = Self.send(server, bytes)
          _ = Self.receive(server)
          return false
        case .hang:
          _ = Self.send(server, bytes)
          isHung = true
          while Self.receive(client) != nil {}
          return false
        }
      }
      self?.forget(client, server)
    }
  }

  /// Closes both ends of a connection.
  private func forget(_ client: Int32, _ server: Int32) {
    state.withLock { $0.descriptors.removeAll { $0 == client || $0 == server } }
    close(client)
    close(server)
  }

  private func decide(_ bytes: ArraySlice<UInt8>) -> Action {
    let commits = bytes.contains(sequence: Array("COMMIT\0".utf8))
    let (rule, number) = state.withLock { state in
      defer { state.count += 1 }
      return (state.rule, state.count)
    }
    return rule(Chunk(number: number, commits: commits))
  }

  private static func pump(
    _ client: Int32, _ server: Int32, _ take: (ArraySlice<UInt8>, _ fromClient: Bool) -> Bool
  ) {
    while true {
      var waits = [
        pollfd(fd: client, events: Int16(POLLIN), revents: 0),
        pollfd(fd: server, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&waits, 2, -1) > 0 else { return }
      for (index, descriptor) in [client, server].enumerated() where waits[index].revents != 0 {
        guard let bytes = receive(descriptor), take(bytes, index == 0) else { return }
      }
    }
  }

  private static func receive(_ descriptor: Int32) -> ArraySlice<UInt8>? {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return count > 0 ? buffer[..<count] : nil
  }

  private static func send(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { buffer in
      precondition(path.utf8.count < buffer.count, "a socket's path is short")
      buffer.copyBytes(from: path.utf8)
    }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

extension ArraySlice<UInt8> {
  fileprivate func contains(sequence: [UInt8]) -> Bool {
    guard count >= sequence.count else { return false }
    return (startIndex...(endIndex - sequence.count)).contains { start in
      self[start] == sequence[0] && self[start..<start + sequence.count].elementsEqual(sequence)
    }
  }
}
