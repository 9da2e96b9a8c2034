internal import CGRPC
internal import Glibc
internal import Synchronization

/// What both sides of a call have in common: one receive and one send at a time, each usable from
/// any task. The cancellation of a task that waits for one of them cancels the call.
///
/// Batches of operations point into `storage`; while one is outstanding it holds the call.
@safe
public class Call: @unchecked Sendable {
  /// What operations read from and write to.
  @unsafe struct Storage {
    var initialMetadata = unsafe grpc_metadata_array()
    var trailingMetadata = unsafe grpc_metadata_array()
    var sentMetadata = unsafe grpc_metadata_array()
    var status = GRPC_STATUS_UNKNOWN
    var details = unsafe grpc_empty_slice()
    var received: UnsafeMutablePointer<grpc_byte_buffer>?
    var isCancelled: Int32 = 0
  }

  @unsafe private struct Receiving {
    var isOutstanding = false
    /// What came, until somebody takes it; the inner nil is the end.
    var result: ReceivedMessage??
    var waiter: UnsafeContinuation<Void, Never>?
  }

  @unsafe private struct Sending {
    var isOutstanding = false
    var hasFailed = false
    var waiter: UnsafeContinuation<Void, Never>?
  }

  let raw: OpaquePointer
  let queue: CompletionQueue
  let storage: UnsafeMutablePointer<Storage>
  let expiry = OperationExpiry()
  private let receiving = unsafe Mutex(Receiving())
  private let sending = unsafe Mutex(Sending())
  private let isWatched = Atomic(false)

  /// Takes a call over.
  init(_ raw: OpaquePointer, queue: CompletionQueue) {
    unsafe self.raw = raw
    self.queue = queue
    unsafe storage = .allocate(capacity: 1)
    unsafe storage.initialize(to: Storage())
  }

  deinit {
    if isWatched.load(ordering: .relaxed) { unsafe queue.watches.remove(raw) }
    for index in unsafe 0..<storage.pointee.sentMetadata.count {
      unsafe grpc_slice_unref(storage.pointee.sentMetadata.metadata[index].key)
      unsafe grpc_slice_unref(storage.pointee.sentMetadata.metadata[index].value)
    }
    unsafe grpc_metadata_array_destroy(&storage.pointee.sentMetadata)
    unsafe grpc_metadata_array_destroy(&storage.pointee.initialMetadata)
    unsafe grpc_metadata_array_destroy(&storage.pointee.trailingMetadata)
    unsafe grpc_slice_unref(storage.pointee.details)
    if let received = unsafe storage.pointee.received {
      unsafe grpc_byte_buffer_destroy(received)
    }
    unsafe grpc_call_unref(raw)
    unsafe storage.deallocate()
  }

  /// Ends the call at once: everything outstanding fails. Does nothing once it has ended.
  public func cancel() {
    _ = unsafe grpc_call_cancel(raw, nil)
  }

  /// Ends the call at once, as `cancel`, and has the other side see `status` where it has not heard
  /// of another yet. Its message is ASCII.
  public func cancel(_ status: RPCStatus) {
    // The library copies the message.
    _ = unsafe grpc_call_cancel_with_status(
      raw, grpc_status_code(rawValue: .init(status.code.rawValue)), status.message, nil)
  }

  /// Cancels the call, within a quarter of a second, when the operation that begins now has not
  /// ended after `timeout`: until the next call of this function, or of `endOperation`.
  public func beginOperation(timeout: Duration) {
    expiry.set(timeout)
    if !isWatched.exchange(true, ordering: .relaxed) { unsafe queue.watches.add(raw, expiry) }
  }

  /// Ends what `beginOperation` began.
  public func endOperation() {
    expiry.clear()
  }

  /// The next message; nil when there is none any more, or the call has failed.
  ///
  /// One task receives at a time.
  public func receive() async -> ReceivedMessage? {
    receiveAhead()
    unsafe await waiting { continuation in
      let isThere = unsafe receiving.withLock { receiving in
        guard unsafe receiving.isOutstanding else { return true }
        precondition(unsafe receiving.waiter == nil, "one task receives at a time")
        unsafe receiving.waiter = continuation
        return false
      }
      if isThere { unsafe continuation.resume() }
    }
    return unsafe receiving.withLock { receiving in
      let result = unsafe receiving.result ?? nil
      unsafe receiving.result = nil
      return result
    }
  }

  /// The next message where it has come already; nil when it has not, or there is none any more.
  ///
  /// Not while a task receives.
  public func receiveAtOnce() -> ReceivedMessage? {
    unsafe receiving.withLock { receiving in
      guard let message = unsafe receiving.result ?? nil else { return nil }
      unsafe receiving.result = nil
      return message
    }
  }

  /// Has the next message come before it is asked for: the peer sends it while the one before is
  /// worked on. It is held until `receive` gives it.
  public func receiveAhead() {
    let mayStart = unsafe receiving.withLock { receiving in
      guard unsafe !receiving.isOutstanding, unsafe receiving.result == nil else { return false }
      unsafe receiving.isOutstanding = true
      return true
    }
    guard mayStart else { return }
    let tag = ClosureTag { [self] ok in
      let message = takeReceived()
      let waiter = unsafe receiving.withLock { receiving in
        unsafe receiving.isOutstanding = false
        unsafe receiving.result = .some(ok ? message : nil)
        return unsafe receiving.waiter.take()
      }
      unsafe waiter?.resume()
    }
    unsafe start(tag, 1) { operations in
      unsafe operations[0].op = GRPC_OP_RECV_MESSAGE
      unsafe operations[0].data.recv_message.recv_message = receivedAddress
    }
  }

  /// Waits until the message before has been accepted, and sends this one.
  ///
  /// Returns when the library has taken the message over; false when it cannot be sent any more.
  /// One task sends at a time.
  public func send(_ message: consuming OutgoingMessage) async -> Bool {
    unsafe await send(message, before: 0, after: 0) { _ in }
  }

  /// Waits until everything sent has been accepted; false when something was not.
  public func flush() async -> Bool {
    await waitForSend()
    return unsafe sending.withLock { unsafe !$0.hasFailed }
  }

  /// Sends a message, or none, between other operations of the same batch, which `fill` makes.
  func send(
    _ message: consuming OutgoingMessage?, before: Int, after: Int,
    _ fill: (UnsafeMutablePointer<grpc_op>) -> Void
  ) async -> Bool {
    await waitForSend()
    let buffer = unsafe message.take()?.take()
    let hasMessage = unsafe buffer != nil
    let mayStart = unsafe sending.withLock { sending in
      guard unsafe !sending.hasFailed else { return false }
      unsafe sending.isOutstanding = true
      return true
    }
    guard mayStart else {
      if let buffer = unsafe buffer { unsafe grpc_byte_buffer_destroy(buffer) }
      return false
    }
    let tag = ClosureTag { [self] ok in
      if let buffer = unsafe buffer { unsafe grpc_byte_buffer_destroy(buffer) }
      sent(ok)
    }
    return unsafe start(tag, before + (hasMessage ? 1 : 0) + after) { operations in
      unsafe fill(operations)
      guard hasMessage else { return }
      unsafe operations[before].op = GRPC_OP_SEND_MESSAGE
      unsafe operations[before].data.send_message.send_message = buffer
    }
  }

  /// Gives a batch of `count` operations, which are zero before `fill`, to the library. When it
  /// refuses, the tag completes as failed and the answer is false.
  @discardableResult
  func start(
    _ tag: CompletionTag, _ count: Int, _ fill: (UnsafeMutablePointer<grpc_op>) -> Void
  ) -> Bool {
    let operations = UnsafeMutablePointer<grpc_op>.allocate(capacity: count)
    defer { unsafe operations.deallocate() }
    unsafe memset(operations, 0, count * MemoryLayout<grpc_op>.stride)
    unsafe fill(operations)
    let error = unsafe grpc_call_start_batch(raw, operations, count, tag.retained(), nil)
    guard error != GRPC_CALL_OK else { return true }
    tag.dropRetained()
    tag.complete(false)
    return false
  }

  /// Sets the metadata that goes out first. Called once, before anything is sent.
  func setMetadata(_ metadata: [(key: String, value: String)]) {
    guard !metadata.isEmpty else { return }
    let size = unsafe MemoryLayout<grpc_metadata>.stride * metadata.count
    guard let memory = unsafe gpr_malloc(size) else { return }
    let list = unsafe memory.bindMemory(to: grpc_metadata.self, capacity: metadata.count)
    for (index, pair) in metadata.enumerated() {
      var item = unsafe grpc_metadata()
      unsafe item.key = grpc_slice_from_copied_string(pair.key)
      unsafe item.value = grpc_slice_from_copied_string(pair.value)
      unsafe (list + index).initialize(to: item)
    }
    unsafe storage.pointee.sentMetadata = grpc_metadata_array(
      count: metadata.count, capacity: metadata.count, metadata: list)
  }

  /// Makes the operation that sends the metadata.
  func fillSendMetadata(_ operation: UnsafeMutablePointer<grpc_op>) {
    unsafe operation.pointee.op = GRPC_OP_SEND_INITIAL_METADATA
    unsafe operation.pointee.data.send_initial_metadata.count = storage.pointee.sentMetadata.count
    unsafe operation.pointee.data.send_initial_metadata.metadata =
      storage.pointee.sentMetadata.metadata
  }

  /// Waits for what `body` starts; the cancellation of the task cancels the call.
  func waiting<R: Sendable>(_ body: (UnsafeContinuation<R, Never>) -> Void) async -> R {
    await withTaskCancellationHandler {
      unsafe await withUnsafeContinuation { unsafe body($0) }
    } onCancel: {
      cancel()
    }
  }

  /// What was received and not taken yet.
  func takeReceived() -> ReceivedMessage? {
    guard let buffer = unsafe storage.pointee.received else { return nil }
    unsafe storage.pointee.received = nil
    return unsafe ReceivedMessage(taking: buffer)
  }

  /// Where a received message is put.
  var receivedAddress: UnsafeMutablePointer<UnsafeMutablePointer<grpc_byte_buffer>?> {
    unsafe address(&storage.pointee.received)
  }

  /// The address of a field of the storage, which does not move.
  func address<T>(_ field: inout T) -> UnsafeMutablePointer<T> {
    unsafe withUnsafeMutablePointer(to: &field) { unsafe $0 }
  }

  private func sent(_ ok: Bool) {
    let waiter = unsafe sending.withLock { sending in
      unsafe sending.isOutstanding = false
      if !ok { unsafe sending.hasFailed = true }
      return unsafe sending.waiter.take()
    }
    unsafe waiter?.resume()
  }

  private func waitForSend() async {
    guard unsafe sending.withLock({ unsafe $0.isOutstanding }) else { return }
    unsafe await waiting { continuation in
      let isFree = unsafe sending.withLock { sending in
        guard unsafe sending.isOutstanding else { return true }
        precondition(unsafe sending.waiter == nil, "one task sends at a time")
        unsafe sending.waiter = continuation
        return false
      }
      if isFree { unsafe continuation.resume() }
    }
  }
}
