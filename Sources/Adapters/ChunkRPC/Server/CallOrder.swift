internal import ChunkStore
internal import GRPC
internal import Synchronization

/// Keeps deletions from undoing what was asked for later: a deletion may have lain in the socket
/// while the server hung, or on the way, until others had taken the work over.
///
/// What was seen is not kept over a restart, for with the process its sockets go and what lay in
/// them.
final class CallOrder: Sendable {
  private struct Waiter {
    var stamp: CallStamp
    var continuation: CheckedContinuation<Void, Never>
  }

  private struct State {
    var highest = CallStamp(fence: 0, attempt: 0)
    /// Deletions that run.
    var deletions: [CallStamp: Int] = [:]
    var waiters: [UInt64: Waiter] = [:]
    var nextWaiter: UInt64 = 0

    func mayPass(_ stamp: CallStamp) -> Bool { deletions.keys.allSatisfy { $0 >= stamp } }
  }

  private let state = Mutex(State())

  /// What a call says of itself; nil when it says nothing. Throws for what is no stamp.
  static func stamp(of call: ServerCall) throws(RPCStatus) -> CallStamp? {
    let values = call.metadata(CallMetadata.stamp)
    guard let value = values.first else { return nil }
    guard values.count == 1, let stamp = CallStamp(String(decoding: value, as: UTF8.self)) else {
      throw RPCStatus(.invalidArgument, "a stamp that is none")
    }
    return stamp
  }

  /// Takes note of a call.
  func note(_ stamp: CallStamp?) {
    guard let stamp else { return }
    state.withLock { $0.highest = max($0.highest, stamp) }
  }

  /// Takes note of a call, and waits until no deletion with a lower stamp runs. Throws when the
  /// task is cancelled.
  func pass(_ stamp: CallStamp?) async throws {
    guard let stamp else { return }
    let ticket = state.withLock { state -> UInt64? in
      state.highest = max(state.highest, stamp)
      guard !state.mayPass(stamp) else { return nil }
      defer { state.nextWaiter &+= 1 }
      return state.nextWaiter
    }
    guard let ticket else { return }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isReady = state.withLock { state in
          guard !Task.isCancelled, !state.mayPass(stamp) else { return true }
          state.waiters[ticket] = Waiter(stamp: stamp, continuation: continuation)
          return false
        }
        if isReady { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: ticket) }?.continuation.resume()
    }
    try Task.checkCancellation()
  }

  /// Runs a deletion, unless a call with a higher stamp has come: then it throws `aborted`.
  func delete(under stamp: CallStamp, _ body: () async throws -> Void) async throws {
    let isInTime = state.withLock { state in
      guard stamp >= state.highest else { return false }
      state.highest = stamp
      state.deletions[stamp, default: 0] += 1
      return true
    }
    guard isInTime else { throw RPCStatus(.aborted, "others have taken this work over") }
    defer { end(stamp) }
    try await body()
  }

  private func end(_ stamp: CallStamp) {
    let ready = state.withLock { state in
      let left = (state.deletions[stamp] ?? 1) - 1
      state.deletions[stamp] = left > 0 ? left : nil
      let ready = state.waiters.filter { state.mayPass($0.value.stamp) }
      for ticket in ready.keys { state.waiters.removeValue(forKey: ticket) }
      return ready.values.map(\.continuation)
    }
    for continuation in ready { continuation.resume() }
  }
}
