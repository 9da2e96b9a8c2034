internal import CGRPC
internal import Runtime
internal import Synchronization

/// When the operation that a call is in must have ended.
final class OperationExpiry: Sendable {
  /// Monotonic nanoseconds; 0 while no operation is limited.
  let nanoseconds = Atomic<UInt64>(0)

  /// Sets the end of the operation that begins now.
  func set(_ timeout: Duration) {
    let (seconds, attoseconds) = timeout.components
    let span = UInt64(clamping: seconds).multipliedReportingOverflow(by: 1_000_000_000)
    let total = span.overflow ? UInt64.max >> 2 : span.partialValue
    let nano = UInt64(clamping: attoseconds / 1_000_000_000)
    nanoseconds.store(
      MonotonicTime.nanoseconds &+ min(total, UInt64.max >> 2) &+ nano, ordering: .relaxed)
  }

  /// Says that the operation has ended.
  func clear() {
    nanoseconds.store(0, ordering: .relaxed)
  }
}

/// The calls of a queue whose single operations have a limit in time, besides the deadline of the
/// call as a whole. The poller cancels those that are late, by at most a quarter of a second.
@safe
final class OperationWatches: @unchecked Sendable {
  private let state = Mutex<[Int: OperationExpiry]>([:])

  /// Watches a call until `remove`, which comes before the call is let go of.
  func add(_ call: OpaquePointer, _ expiry: OperationExpiry) {
    let address = Int(bitPattern: call)
    state.withLock { $0[address] = expiry }
  }

  /// Watches a call no more.
  func remove(_ call: OpaquePointer) {
    let address = Int(bitPattern: call)
    state.withLock { _ = $0.removeValue(forKey: address) }
  }

  /// Cancels the calls whose operation is late.
  func cancelExpired(now: UInt64) {
    let late = state.withLock { calls -> [Int] in
      var late: [Int] = []
      for (address, expiry) in calls {
        let end = expiry.nanoseconds.load(ordering: .relaxed)
        guard end != 0, end <= now else { continue }
        expiry.clear()
        // The call is alive as long as it is listed; the reference keeps it so.
        unsafe grpc_call_ref(OpaquePointer(bitPattern: address))
        late.append(address)
      }
      return late
    }
    for address in late {
      let call = unsafe OpaquePointer(bitPattern: address)
      _ = unsafe grpc_call_cancel_with_status(
        call, GRPC_STATUS_DEADLINE_EXCEEDED, "the operation took too long", nil)
      unsafe grpc_call_unref(call)
    }
  }
}
