internal import CGRPC
internal import Synchronization

/// How a server shows who it is, and whom it lets in.
public enum ServerCredentials: Sendable {
  /// Neither: for loopback only.
  case insecure
  /// Mutual TLS; who has no certificate of the identity's authorities does not get in.
  case mutualTLS(TLSIdentity)
}

/// Why a server cannot serve.
public enum ServerError: Error, Hashable, Sendable {
  /// The address cannot be listened on: it is taken, or not this machine's.
  case bind(String)
  /// `run` was called before.
  case started
}

/// Answers calls on one port. Made, it has its port; `run` serves until `beginShutdown`.
@safe
public final class Server: @unchecked Sendable {
  /// Answers one call.
  public typealias Handler = @Sendable (ServerCall) async -> Void

  private struct State {
    var isStarted = false
    var arrived: [ServerCall] = []
    var acceptor: CheckedContinuation<Void, Never>?
    var shutdown: Duration?
    var isShuttingDown = false
  }

  /// The port that it listens on.
  public let port: Int

  let raw: OpaquePointer
  let queue: CompletionQueue
  private let identity: Int?
  private let state = Mutex(State())

  /// Listens on `address` (`host:port`, port 0 for any).
  public init(
    on address: String, credentials: ServerCredentials, arguments: ChannelArguments,
    queue: CompletionQueue = .shared
  ) throws(ServerError) {
    GRPCLibrary.initialize()
    self.queue = queue
    let made: OpaquePointer?
    switch credentials {
    case .insecure:
      identity = nil
      unsafe made = grpc_insecure_server_credentials_create()
    case .mutualTLS(let source):
      let number = ServerIdentities.add(source)
      identity = number
      unsafe made = ServerIdentities.credentials(number)
    }
    guard let server = unsafe arguments.withRaw({ unsafe grpc_server_create($0, nil) }) else {
      preconditionFailure("the library makes a server of anything")
    }
    unsafe raw = server
    unsafe grpc_server_register_completion_queue(server, queue.raw, nil)
    port = unsafe Int(grpc_server_add_http2_port(server, address, made))
    if let made = unsafe made { unsafe grpc_server_credentials_release(made) }
    if port == 0 { throw .bind(address) }
  }

  deinit {
    let (raw, queue, identity) = unsafe (raw, queue, identity)
    let wasStarted = state.withLock { $0.isStarted }
    if wasStarted {
      unsafe grpc_server_destroy(raw)
      if let identity { ServerIdentities.remove(identity) }
      return
    }
    // It listens already, so that it has to be shut down before it may go.
    let tag = ClosureTag { _ in
      unsafe grpc_server_destroy(raw)
      if let identity { ServerIdentities.remove(identity) }
      withExtendedLifetime(queue) {}
    }
    unsafe grpc_server_shutdown_and_notify(raw, queue.raw, tag.retained())
  }

  /// Answers calls, each in a task of its own on the executor that `executor` gives for its method,
  /// until `beginShutdown` or the cancellation of the task. Returns when all have ended.
  public func run(
    executor: @escaping @Sendable (String) -> any TaskExecutor, handler: @escaping Handler
  ) async throws(ServerError) {
    let isFirst = state.withLock { state in
      defer { state.isStarted = true }
      return !state.isStarted
    }
    guard isFirst else { throw .started }
    unsafe grpc_server_start(raw)
    for _ in 0..<16 { IncomingCall(self).request() }
    await withDiscardingTaskGroup { group in
      await withTaskCancellationHandler {
        while let calls = await arrivals() {
          for call in calls {
            group.addTask(executorPreference: executor(call.method)) {
              await call.handle(handler)
            }
          }
        }
      } onCancel: {
        beginShutdown(deadline: .zero)
      }
      await shutDown()
      for call in state.withLock({ state in
        defer { state.arrived = [] }
        return state.arrived
      }) {
        call.cancel()
      }
    }
  }

  /// Takes no more calls; those that run have until `deadline` from now, and are cancelled then.
  public func beginShutdown(deadline: Duration) {
    let acceptor = state.withLock { state in
      state.shutdown = min(state.shutdown ?? deadline, deadline)
      return state.acceptor.take()
    }
    acceptor?.resume()
  }

  /// Waits for calls; nil when the server is to end.
  private func arrivals() async -> [ServerCall]? {
    while true {
      let (calls, isEnding) = state.withLock { state in
        defer { state.arrived = [] }
        return (state.arrived, state.shutdown != nil)
      }
      if !calls.isEmpty { return calls }
      if isEnding { return nil }
      await withCheckedContinuation { continuation in
        let isReady = state.withLock { state in
          guard state.arrived.isEmpty, state.shutdown == nil else { return true }
          state.acceptor = continuation
          return false
        }
        if isReady { continuation.resume() }
      }
    }
  }

  /// Takes a call in; false when the server is shutting down.
  func arrived(_ call: ServerCall) {
    let acceptor = state.withLock { state in
      state.arrived.append(call)
      return state.acceptor.take()
    }
    acceptor?.resume()
  }

  /// Stops listening, and waits for the calls.
  private func shutDown() async {
    let deadline = state.withLock { $0.shutdown } ?? .zero
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        try? await Task.sleep(for: deadline)
        // Also when the wait was cut short, since nothing is left to cancel then.
        unsafe grpc_server_cancel_all_calls(self.raw)
      }
      unsafe await withUnsafeContinuation { continuation in
        let tag = ClosureTag { _ in unsafe continuation.resume() }
        unsafe grpc_server_shutdown_and_notify(raw, queue.raw, tag.retained())
      }
      group.cancelAll()
    }
  }
}

/// Waits for one call after the other.
@safe
private final class IncomingCall: CompletionTag, @unchecked Sendable {
  @unsafe private struct Slot {
    var call: OpaquePointer?
    var details = unsafe grpc_call_details()
    var metadata = unsafe grpc_metadata_array()
  }

  private let server: Server
  private let slot: UnsafeMutablePointer<Slot>

  init(_ server: Server) {
    self.server = server
    unsafe slot = .allocate(capacity: 1)
    unsafe slot.initialize(to: Slot())
  }

  deinit {
    unsafe slot.deallocate()
  }

  /// Asks for the next call.
  func request() {
    unsafe slot.pointee.call = nil
    unsafe grpc_call_details_init(&slot.pointee.details)
    unsafe grpc_metadata_array_init(&slot.pointee.metadata)
    let error = unsafe grpc_server_request_call(
      server.raw, &slot.pointee.call, &slot.pointee.details, &slot.pointee.metadata,
      server.queue.raw, server.queue.raw, retained())
    guard error != GRPC_CALL_OK else { return }
    dropRetained()
    unsafe grpc_call_details_destroy(&slot.pointee.details)
    unsafe grpc_metadata_array_destroy(&slot.pointee.metadata)
  }

  override func complete(_ ok: Bool) {
    let method = unsafe ServerCall.bytes(slot.pointee.details.method)
    unsafe grpc_call_details_destroy(&slot.pointee.details)
    guard ok, let call = unsafe slot.pointee.call else {
      unsafe grpc_metadata_array_destroy(&slot.pointee.metadata)
      return
    }
    let arrived = unsafe ServerCall(
      call, method: String(decoding: method, as: UTF8.self), metadata: slot.pointee.metadata,
      queue: server.queue)
    request()
    server.arrived(arrived)
  }
}
