import Synchronization

/// Counters of one server, from any thread.
final class ServerStatistics: Sendable {
  private let open = Atomic<Int>(0)
  private let accepted = Atomic<Int>(0)
  private let closed = Atomic<Int>(0)
  private let requests = Atomic<Int>(0)
  private let refused = Atomic<Int>(0)
  private let pauses = Atomic<Int>(0)
  private let waiting = Atomic<Bool>(false)

  var openConnections: Int { open.load(ordering: .relaxed) }

  func connectionOpened() {
    open.add(1, ordering: .relaxed)
    accepted.add(1, ordering: .relaxed)
  }

  func connectionClosed() {
    open.subtract(1, ordering: .relaxed)
    closed.add(1, ordering: .relaxed)
  }

  func requestBegan() { requests.add(1, ordering: .relaxed) }
  func requestRefused() { refused.add(1, ordering: .relaxed) }
  func acceptPaused() { pauses.add(1, ordering: .relaxed) }

  /// Whether the connection limit keeps a client in the listen queue.
  var clientsAreWaiting: Bool { waiting.load(ordering: .relaxed) }

  func noteWaitingClients(_ areWaiting: Bool) { waiting.store(areWaiting, ordering: .relaxed) }

  func snapshot(activeRequests: Int) -> HTTPServerStatistics {
    HTTPServerStatistics(
      openConnections: openConnections, acceptedConnections: accepted.load(ordering: .relaxed),
      activeRequests: activeRequests, requests: requests.load(ordering: .relaxed),
      refusedRequests: refused.load(ordering: .relaxed),
      acceptPauses: pauses.load(ordering: .relaxed))
  }
}

/// Counts of a server since it was made. They are read one after the other, not at one moment.
public struct HTTPServerStatistics: Sendable, Equatable {
  /// Connections open now.
  public let openConnections: Int
  /// Connections accepted so far.
  public let acceptedConnections: Int
  /// Requests being answered now.
  public let activeRequests: Int
  /// Requests given to a handler so far.
  public let requests: Int
  /// Requests refused by the parser so far.
  public let refusedRequests: Int
  /// How often accepting paused, for want of descriptors or at the connection limit.
  public let acceptPauses: Int
}
