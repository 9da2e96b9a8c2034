import CPlatform
import Glibc

/// Accepting connections. Loop thread only.
extension EventLoop {
  private static let acceptsPerTurn = 64

  /// Listens on a socket from now on.
  func add(_ listener: ListeningSocket) {
    if isDraining { return }
    let position = listeners.count
    let status = platform_epoll_add_listener(
      epoll.number, listener.descriptor.number, Tag.make(Tag.listenerGeneration, position))
    // Only a lack of kernel memory can refuse this; the listener is then tried again in a tick.
    listeners.append(listener)
    if status != 0 { listenersArePaused = true }
  }

  func accept(from listener: ListeningSocket) {
    for attempt in 0..<Self.acceptsPerTurn {
      guard statistics.openConnections < limits.maximumConnections else {
        // Only the first attempt follows a report that a client is there.
        if attempt == 0 {
          statistics.noteWaitingClients(true)
          pauseListeners()
        }
        return
      }
      var peer = platform_address()
      let result = unsafe platform_accept(listener.descriptor.number, &peer)
      if result >= 0 {
        listener.place(Descriptor(takingOwnershipOf: result), peer: SocketAddress(peer))
        continue
      }
      switch -result {
      case EAGAIN: return
      case EMFILE, ENFILE, ENOBUFS, ENOMEM:
        // The listener stays readable: without a pause this would spin until one is free.
        pauseListeners()
        return
      default: continue  // That connection was gone before it was accepted.
      }
    }
  }

  private func pauseListeners() {
    listenersArePaused = true
    statistics.acceptPaused()
    for (position, listener) in listeners.enumerated() {
      _ = platform_epoll_enable_listener(
        epoll.number, listener.descriptor.number, Tag.make(Tag.listenerGeneration, position), 0)
    }
  }

  /// Listens again after a pause; called every tick and whenever a connection goes.
  func resumeListeners() {
    guard listenersArePaused, statistics.openConnections < limits.maximumConnections else { return }
    listenersArePaused = false
    statistics.noteWaitingClients(false)
    for (position, listener) in listeners.enumerated() {
      let tag = Tag.make(Tag.listenerGeneration, position)
      let status = platform_epoll_enable_listener(
        epoll.number, listener.descriptor.number, tag, 1)
      guard status == -ENOENT else { continue }
      if platform_epoll_add_listener(epoll.number, listener.descriptor.number, tag) != 0 {
        listenersArePaused = true
      }
    }
  }
}
