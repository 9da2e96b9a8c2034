internal import Synchronization

/// Wakes the one task that does a store's housekeeping.
final class MaintenanceBell: Sendable {
  private struct State {
    var isRung = false
    var isClosed = false
    var waiter: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  /// Wakes the task, or lets its next wait return at once.
  func ring() {
    wake { $0.isRung = true }
  }

  /// Makes every wait return false from now on.
  func close() {
    wake { $0.isClosed = true }
  }

  /// Returns true when the bell rang, false when there is no more to do: it was closed, or the
  /// task was cancelled. One task waits at a time.
  func wait() async -> Bool {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let isDue = state.withLock { state in
          if state.isRung || state.isClosed { return true }
          state.waiter = continuation
          return false
        }
        if isDue {
          continuation.resume()
        } else if Task.isCancelled {
          // The handler may have run before there was anybody to wake.
          wake { _ in }
        }
      }
    } onCancel: {
      wake { _ in }
    }
    let isClosed = state.withLock { state in
      state.isRung = false
      return state.isClosed
    }
    return !isClosed && !Task.isCancelled
  }

  private func wake(_ change: (inout State) -> Void) {
    let waiter = state.withLock { state in
      change(&state)
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }
}
