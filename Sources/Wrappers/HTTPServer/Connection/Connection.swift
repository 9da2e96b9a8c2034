import CPlatform

/// One client connection: its socket, its buffers, and the request it is at.
///
/// Everything but the constants is used on the loop's thread only; that is what makes it Sendable.
/// The task of `run` goes from request to request; `handle(readiness:)`, `expireWaits` and `cut`
/// are called by the loop between two of its steps.
@safe
final class Connection: @unchecked Sendable {
  /// The socket's number; of no use once `isCut`.
  let socket: Int32
  private var descriptor: Descriptor?
  let loop: EventLoop
  let service: HTTPService
  let limits: HTTPLimits
  let remoteAddress: SocketAddress
  let tls: TLSSession?

  // Set by the loop.
  var task: Task<Void, Never>?
  var slot = 0
  var generation: UInt32 = 0

  // Readiness. A direction is tried first and waited for when the kernel has nothing.
  var mayRead = true
  var peerEndedDirection = false
  var isDisconnected = false
  var isCut = false
  var reader = WaitingSide()
  var writer = WaitingSide()
  var turnBytes = 0

  /// No request has begun: the connection may be closed without harm.
  var isIdle = true
  /// A handler or its streamed response is at work.
  var isHandling = false

  var window = Window()
  var request = RequestState()
  var response = ResponseState()

  init(
    descriptor: consuming Descriptor, loop: EventLoop, service: HTTPService,
    remoteAddress: SocketAddress, tls: TLSSession?
  ) {
    socket = descriptor.number
    self.descriptor = consume descriptor
    self.loop = loop
    self.service = service
    self.limits = loop.limits
    self.remoteAddress = remoteAddress
    self.tls = tls
  }

  // MARK: Called by the loop

  /// Takes a report of the kernel.
  func handle(readiness: UInt32) {
    let bits = Int(readiness)
    let peerEnds = bits & Int(PLATFORM_PEER_CLOSED_WRITING) != 0
    let isFirstEnd = peerEnds && !peerEndedDirection
    if peerEnds { peerEndedDirection = true }
    if bits & Int(PLATFORM_DISCONNECTED) != 0 { isDisconnected = true }
    if isHandling && (isDisconnected || (isFirstEnd && peerEndMeansGone)) { task?.cancel() }
    if bits & Int(PLATFORM_READABLE) != 0 {
      mayRead = true
      reader.resume(.ready)
    }
    if bits & Int(PLATFORM_WRITABLE) != 0 { writer.resume(.ready) }
  }

  /// Whether a peer that ended its direction cannot want an answer: its body is short, or the
  /// configuration says so.
  private var peerEndMeansGone: Bool {
    switch request.framing {
    case .none: return limits.halfClose == .disconnects
    case .chunked: return false
    case .length(let left):
      // Over TLS more bytes than these are pending, never fewer.
      let pending = Int(platform_pending_bytes(socket)) + window.count
      return pending < left && tls?.hasPendingBytes != true
    }
  }

  /// Ends the waits whose time is over.
  func expireWaits() {
    if reader.deadline <= loop.now { reader.resume(.timedOut) }
    if writer.deadline <= loop.now { writer.resume(.timedOut) }
  }

  /// Ends the connection from outside: waits return, the handler's task is cancelled.
  func cut() {
    if isCut { return }
    isCut = true
    task?.cancel()
    _ = platform_shutdown_both(socket)
    reader.resume(.cut)
    writer.resume(.cut)
  }

  /// Closes the socket now, whoever still holds this object.
  func close() {
    isCut = true
    descriptor = nil
  }
}
