internal import CGRPC
internal import Synchronization

/// A call from the side that answers it. Its handler's task is cancelled when the client gives it
/// up, is gone, or its deadline has passed.
@safe
public final class ServerCall: Call, @unchecked Sendable {
  @unsafe private struct Handling {
    var running: RunningTask?
    var isCancelled = false
  }

  /// Named only while the task runs.
  @unsafe private struct RunningTask: @unchecked Sendable {
    var task: UnsafeCurrentTask?
  }

  /// The method as the client named it: `/package.Service/Method`.
  public let method: String
  private let hasSentMetadata = Atomic(false)
  private let hasFinished = Atomic(false)
  private let handling = unsafe Mutex(Handling())

  /// Takes over the call and its metadata.
  init(
    _ raw: OpaquePointer, method: String, metadata: grpc_metadata_array, queue: CompletionQueue
  ) {
    self.method = method
    unsafe super.init(raw, queue: queue)
    unsafe storage.pointee.initialMetadata = metadata
    unsafe start(ClosureTag { [self] _ in closed() }, 1) { operations in
      unsafe operations[0].op = GRPC_OP_RECV_CLOSE_ON_SERVER
      unsafe operations[0].data.recv_close_on_server.cancelled = address(
        &storage.pointee.isCancelled)
    }
  }

  /// The DNS names of the client's certificate; none without mutual TLS.
  public var peerNames: [String] {
    guard let context = unsafe grpc_call_auth_context(raw) else { return [] }
    defer { unsafe grpc_auth_context_release(context) }
    guard unsafe grpc_auth_context_peer_is_authenticated(context) != 0 else { return [] }
    var iterator = unsafe grpc_auth_context_find_properties_by_name(
      context, GRPC_PEER_DNS_PROPERTY_NAME)
    var names: [String] = []
    while let property = unsafe grpc_auth_property_iterator_next(&iterator) {
      let value = unsafe UnsafeRawBufferPointer(
        start: property.pointee.value, count: property.pointee.value_length)
      unsafe names.append(String(decoding: value, as: UTF8.self))
    }
    return names
  }

  /// The values that the client sent under a lower-case key.
  public func metadata(_ key: String) -> [[UInt8]] {
    let list = unsafe storage.pointee.initialMetadata
    var values: [[UInt8]] = []
    for index in unsafe 0..<list.count
    where unsafe Self.bytes(list.metadata[index].key) == Array(key.utf8) {
      unsafe values.append(Self.bytes(list.metadata[index].value))
    }
    return values
  }

  /// Sends a message of the answer; see `Call.send`.
  public override func send(_ message: consuming OutgoingMessage) async -> Bool {
    let isFirst = !hasSentMetadata.exchange(true, ordering: .relaxed)
    return unsafe await send(message, before: isFirst ? 1 : 0, after: 0) { operations in
      if isFirst { unsafe fillSendMetadata(operations) }
    }
  }

  /// Ends the call well, with a last message.
  @discardableResult
  public func finish(_ message: consuming OutgoingMessage) async -> Bool {
    await finish(message, RPCStatus(.ok))
  }

  /// Ends the call.
  @discardableResult
  public func finish(_ status: RPCStatus = RPCStatus(.ok)) async -> Bool {
    await finish(nil, status)
  }

  /// Runs `body`, whose task is cancelled with the call, and ends the call if `body` has not.
  func handle(_ body: (ServerCall) async -> Void) async {
    unsafe withUnsafeCurrentTask { task in
      let running = unsafe RunningTask(task: task)
      let isCancelled = unsafe handling.withLock { handling in
        unsafe handling.running = running
        return unsafe handling.isCancelled
      }
      if isCancelled { unsafe task?.cancel() }
    }
    await body(self)
    // Behind this nobody cancels the task any more, which may then end.
    unsafe handling.withLock { unsafe $0.running = nil }
    if !hasFinished.load(ordering: .relaxed) {
      await finish(RPCStatus(.internal, "the call was not answered"))
    }
    _ = await flush()
  }

  private func finish(_ message: consuming OutgoingMessage?, _ status: RPCStatus) async -> Bool {
    guard !hasFinished.exchange(true, ordering: .relaxed) else { return false }
    let isFirst = !hasSentMetadata.exchange(true, ordering: .relaxed)
    let before = isFirst ? 1 : 0
    let hasMessage = message != nil
    // The library reads it until the batch is done.
    unsafe storage.pointee.details = grpc_slice_from_copied_string(status.message)
    return unsafe await send(message, before: before, after: 1) { operations in
      if isFirst { unsafe fillSendMetadata(operations) }
      let last = unsafe operations + (before + (hasMessage ? 1 : 0))
      unsafe last.pointee.op = GRPC_OP_SEND_STATUS_FROM_SERVER
      unsafe last.pointee.data.send_status_from_server.status = grpc_status_code(
        rawValue: .init(status.code.rawValue))
      unsafe last.pointee.data.send_status_from_server.status_details = address(
        &storage.pointee.details)
    }
  }

  private func closed() {
    guard unsafe storage.pointee.isCancelled != 0 else { return }
    // The task lives while it is named here: `handle` takes it away first.
    unsafe handling.withLock { handling in
      unsafe handling.isCancelled = true
      unsafe handling.running?.task?.cancel()
    }
  }

  static func bytes(_ slice: grpc_slice) -> [UInt8] {
    unsafe withUnsafePointer(to: slice) { slice in
      unsafe Array(
        UnsafeRawBufferPointer(start: cgrpc_slice_start(slice), count: cgrpc_slice_length(slice)))
    }
  }
}
