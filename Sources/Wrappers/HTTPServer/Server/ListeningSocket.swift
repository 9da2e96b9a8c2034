import CPlatform
import Synchronization

/// A bound, listening socket and where its connections go.
final class ListeningSocket: Sendable {
  let descriptor: Descriptor
  /// Where it is bound; the port is the one chosen by the system if it was asked to.
  let address: SocketAddress
  let service: HTTPService
  let tls: TLSContextHolder?
  private let loops: [EventLoop]
  private let statistics: ServerStatistics

  init(
    _ listener: HTTPListener, serverName: String?, loops: [EventLoop], limits: HTTPLimits,
    statistics: ServerStatistics
  ) throws(HTTPServerError) {
    self.loops = loops
    self.statistics = statistics
    service = HTTPService(listener, serverName: serverName)
    if let files = listener.tls { tls = try TLSContextHolder(files) } else { tls = nil }
    do throws(SystemFailure) {
      let backlog = Int32(clamping: limits.listenBacklog)
      descriptor = try Descriptor(
        checking: unsafe platform_listen(listener.address, listener.port, backlog))
      var bound = platform_address()
      let status = unsafe platform_local_address(descriptor.number, &bound)
      guard status == 0 else { throw SystemFailure(code: -status) }
      address = SocketAddress(bound)
    } catch {
      throw .bind(address: listener.address, port: listener.port, code: error.code)
    }
  }

  /// Hands a new connection to the loop that has least to do: the fewest requests at work, then
  /// the fewest connections.
  func place(_ descriptor: consuming Descriptor, peer: SocketAddress) {
    var session: TLSSession?
    if let tls {
      session = tls.current.makeSession(on: descriptor.number)
      if session == nil { return }
    }
    guard let loop = leastBusy else { return }
    let connection = Connection(
      descriptor: descriptor, loop: loop, service: service, remoteAddress: peer, tls: session)
    statistics.connectionOpened()
    loop.connectionCount.add(1, ordering: .relaxed)
    if !loop.execute({ loop.adopt(connection) }) {
      loop.connectionCount.subtract(1, ordering: .relaxed)
      statistics.connectionClosed()
    }
  }

  /// Refuses new clients from now on, from any thread; the descriptor is closed with the object.
  func stop() {
    _ = platform_shutdown_both(descriptor.number)
  }

  private var leastBusy: EventLoop? {
    loops.min { left, right in
      let leftActive = left.activeRequests.load(ordering: .relaxed)
      let rightActive = right.activeRequests.load(ordering: .relaxed)
      if leftActive != rightActive { return leftActive < rightActive }
      return left.connectionCount.load(ordering: .relaxed)
        < right.connectionCount.load(ordering: .relaxed)
    }
  }
}
