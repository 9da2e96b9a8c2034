internal import CGRPC
internal import Synchronization

/// A call from the side that makes it.
///
/// Whoever starts a stream either receives until nil and asks for the status, or cancels it.
@safe
public final class ClientCall: Call, @unchecked Sendable {
  @unsafe private enum Ending {
    case pending([UnsafeContinuation<RPCStatus, Never>])
    case ended(RPCStatus)
  }

  /// The channel lives as long as its calls.
  private let channel: Channel
  private let ending = unsafe Mutex(Ending.pending([]))
  private let unaryTag = ContinuationTag()

  init(_ raw: OpaquePointer, channel: Channel, metadata: [(key: String, value: String)]) {
    self.channel = channel
    unsafe super.init(raw, queue: channel.queue)
    setMetadata(metadata)
  }

  /// One message there and one back.
  public func unary(
    _ message: consuming OutgoingMessage
  ) async throws(RPCStatus) -> ReceivedMessage {
    let buffer = unsafe message.take()
    _ = unsafe await waiting { continuation in
      unsafe unaryTag.arm(continuation, owner: self)
      unsafe start(unaryTag, 6) { operations in
        unsafe fillSendMetadata(operations)
        unsafe operations[1].op = GRPC_OP_SEND_MESSAGE
        unsafe operations[1].data.send_message.send_message = buffer
        unsafe operations[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT
        unsafe fillReceiveMetadata(operations + 3)
        unsafe operations[4].op = GRPC_OP_RECV_MESSAGE
        unsafe operations[4].data.recv_message.recv_message = receivedAddress
        unsafe fillReceiveStatus(operations + 5)
      }
    }
    if let buffer = unsafe buffer { unsafe grpc_byte_buffer_destroy(buffer) }
    let received = takeReceived()
    let status = receivedStatus
    guard status.code == .ok else { throw status }
    guard let received else { throw RPCStatus(.internal, "an answer without a message") }
    return received
  }

  /// Begins a stream with its first message, which is the only one if `isLast`.
  public func start(_ first: consuming OutgoingMessage, isLast: Bool = false) async -> Bool {
    startReceivingStatus()
    return unsafe await send(first, before: 1, after: isLast ? 1 : 0) { operations in
      unsafe fillSendMetadata(operations)
      if isLast { unsafe operations[2].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT }
    }
  }

  /// Sends the last message.
  public func sendLast(_ message: consuming OutgoingMessage) async -> Bool {
    unsafe await send(message, before: 0, after: 1) { operations in
      unsafe operations[1].op = GRPC_OP_SEND_CLOSE_FROM_CLIENT
    }
  }

  /// How the stream ended, if it has.
  public var endedWith: RPCStatus? {
    unsafe ending.withLock { ending in
      if case .ended(let status) = unsafe ending { status } else { nil }
    }
  }

  /// Waits until the stream has ended, which takes that all its messages were received.
  public func status() async -> RPCStatus {
    unsafe await waiting { continuation in
      let known = unsafe ending.withLock { ending -> RPCStatus? in
        switch unsafe ending {
        case .ended(let status): return status
        case .pending(let waiting):
          unsafe ending = unsafe .pending(waiting + [continuation])
          return nil
        }
      }
      if let known { unsafe continuation.resume(returning: known) }
    }
  }

  private var receivedStatus: RPCStatus {
    let number = unsafe Int(storage.pointee.status.rawValue)
    let details = unsafe withUnsafePointer(to: storage.pointee.details) { details in
      unsafe String(
        decoding: UnsafeRawBufferPointer(
          start: cgrpc_slice_start(details), count: min(cgrpc_slice_length(details), 1024)),
        as: UTF8.self)
    }
    return RPCStatus(RPCStatus.Code(rawValue: number) ?? .unknown, details)
  }

  private func startReceivingStatus() {
    // No message is delivered unless the metadata has been asked for.
    unsafe start(ClosureTag { [self] _ in withExtendedLifetime(self) {} }, 1) { operations in
      unsafe fillReceiveMetadata(operations)
    }
    unsafe start(ClosureTag { [self] _ in ended() }, 1) { operations in
      unsafe fillReceiveStatus(operations)
    }
  }

  private func ended() {
    let status = receivedStatus
    let waiting = unsafe ending.withLock { ending -> [UnsafeContinuation<RPCStatus, Never>] in
      guard case .pending(let waiting) = unsafe ending else { return unsafe [] }
      unsafe ending = unsafe .ended(status)
      return unsafe waiting
    }
    unsafe waiting.forEach { unsafe $0.resume(returning: status) }
  }

  private func fillReceiveMetadata(_ operation: UnsafeMutablePointer<grpc_op>) {
    unsafe operation.pointee.op = GRPC_OP_RECV_INITIAL_METADATA
    unsafe operation.pointee.data.recv_initial_metadata.recv_initial_metadata =
      address(&storage.pointee.initialMetadata)
  }

  private func fillReceiveStatus(_ operation: UnsafeMutablePointer<grpc_op>) {
    unsafe operation.pointee.op = GRPC_OP_RECV_STATUS_ON_CLIENT
    unsafe operation.pointee.data.recv_status_on_client.trailing_metadata =
      address(&storage.pointee.trailingMetadata)
    unsafe operation.pointee.data.recv_status_on_client.status = address(&storage.pointee.status)
    unsafe operation.pointee.data.recv_status_on_client.status_details = address(
      &storage.pointee.details)
  }
}
