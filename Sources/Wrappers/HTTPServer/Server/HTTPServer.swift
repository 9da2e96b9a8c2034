import CPlatform
import Glibc
import Synchronization

/// Why a server cannot be made or its certificates not be loaded.
public enum HTTPServerError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The address cannot be listened on; `code` is the errno.
  case bind(address: String, port: UInt16, code: Int32)
  /// Descriptors or threads are lacking; the errno.
  case system(code: Int32)
  /// A certificate or key cannot be used; names the file, never its content.
  case tls(String)
  /// `run` was called twice.
  case alreadyRun

  /// What went wrong, for the operator.
  public var description: String {
    switch self {
    case .bind(let address, let port, let code):
      unsafe "cannot listen on \(address) port \(port): \(String(cString: strerror(code)))"
    case .system(let code): unsafe "cannot start: \(String(cString: strerror(code)))"
    case .tls(let text): "TLS: \(text)"
    case .alreadyRun: "the server has been run before"
    }
  }
}

/// An HTTP/1.1 server (RFC 9110, RFC 9112) over plain TCP and TLS.
///
/// Making it binds all listeners, so that ports are known and clients may connect; `run` serves
/// them until `beginShutdown` or the cancellation of its task. It installs no signal handlers.
/// Safe to use from any thread.
public final class HTTPServer: Sendable {
  private enum Phase {
    case made, running, stopping, ended
  }

  private struct State {
    var phase = Phase.made
    var listeners: [ListeningSocket]
    /// Monotonic milliseconds; the earliest asked for.
    var cutAt = Int64.max
  }

  /// Where the listeners are bound, in the order they were given.
  public let addresses: [SocketAddress]
  let loops: [EventLoop]
  private let counters: ServerStatistics
  private let tlsHolders: [TLSContextHolder]
  private let state: Mutex<State>

  /// Binds the listeners.
  ///
  /// `threads` is the number of event loops, one per processor when nil. `serverName` is the
  /// value of the Server field; none is sent when nil.
  public init(
    listeners: [HTTPListener], limits: HTTPLimits = HTTPLimits(), serverName: String? = nil,
    threads: Int? = nil
  ) throws(HTTPServerError) {
    let counters = ServerStatistics()
    let count = max(1, threads ?? sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var loops: [EventLoop] = []
    do throws(SystemFailure) {
      for _ in 0..<count { loops.append(try EventLoop(limits: limits, statistics: counters)) }
    } catch {
      throw .system(code: error.code)
    }
    var sockets: [ListeningSocket] = []
    for listener in listeners {
      sockets.append(
        try ListeningSocket(
          listener, serverName: serverName, loops: loops, limits: limits, statistics: counters))
    }
    self.loops = loops
    self.counters = counters
    addresses = sockets.map(\.address)
    tlsHolders = sockets.compactMap(\.tls)
    state = Mutex(State(listeners: sockets))
  }

  /// Serves until shut down; returns when every connection has ended.
  ///
  /// Cancelling the task stops at once: connections are cut, handlers cancelled. A handler that
  /// ignores cancellation holds this up, as its work still uses what the caller will tear down.
  public func run() async throws(HTTPServerError) {
    var sockets = try begin()
    var started = 0
    var failure: HTTPServerError?
    for (index, loop) in loops.enumerated() {
      do throws(SystemFailure) {
        try loop.start(name: "http-\(index)")
        started += 1
      } catch {
        failure = .system(code: error.code)
        break
      }
    }
    if failure == nil {
      for (index, socket) in sockets.enumerated() {
        let loop = loops[index % loops.count]
        loop.execute { loop.add(socket) }
      }
      sockets = []
      // A shutdown that came before the loops ran has reached none of them.
      drainLoops()
    } else {
      beginShutdown(deadline: .zero)
    }
    await withTaskCancellationHandler {
      for loop in loops.prefix(started) { await loop.waitUntilEnded() }
    } onCancel: {
      beginShutdown(deadline: .zero)
    }
    state.withLock { $0.phase = .ended }
    if let failure { throw failure }
  }

  private func begin() throws(HTTPServerError) -> [ListeningSocket] {
    let sockets: [ListeningSocket]? = state.withLock { state in
      switch state.phase {
      case .made: state.phase = .running
      case .stopping: break
      case .running, .ended: return nil
      }
      return state.listeners
    }
    guard let sockets else { throw .alreadyRun }
    return sockets
  }

  /// Stops listening, closes idle connections, and ends the others after their current answer,
  /// which says `Connection: close`. What is still open after `deadline` is cut: its handler is
  /// cancelled. New clients are refused when this returns; `run` returns when all is done.
  /// May be called again to shorten the deadline, and before `run`, which then returns at once.
  public func beginShutdown(deadline: Duration) {
    let milliseconds = deadline.components.seconds.multipliedReportingOverflow(by: 1000)
    let time = platform_monotonic_milliseconds().addingReportingOverflow(
      milliseconds.overflow
        ? .max : milliseconds.partialValue + deadline.components.attoseconds / 1_000_000_000_000_000
    )
    let sockets: [ListeningSocket] = state.withLock { state in
      if state.phase == .ended { return [] }
      state.phase = .stopping
      state.cutAt = min(state.cutAt, time.overflow ? .max : time.partialValue)
      defer { state.listeners = [] }
      return state.listeners
    }
    for socket in sockets { socket.stop() }
    drainLoops()
  }

  private func drainLoops() {
    let cutAt = state.withLock { $0.phase == .stopping ? $0.cutAt : nil }
    guard let cutAt else { return }
    for loop in loops { loop.execute { loop.drain(cutAt: cutAt) } }
  }

  /// Loads the certificates of all listeners again. Connections go on with what they began with.
  ///
  /// Throws when any cannot be used; then none is replaced.
  public func reloadCertificates() throws(HTTPServerError) {
    var contexts: [TLSContext] = []
    for holder in tlsHolders { contexts.append(try TLSContext(holder.files)) }
    for (holder, context) in zip(tlsHolders, contexts) { holder.replace(with: context) }
  }

  /// Counters, as of about now.
  public var statistics: HTTPServerStatistics {
    counters.snapshot(
      activeRequests: loops.reduce(0) { $0 + $1.activeRequests.load(ordering: .relaxed) })
  }
}
