internal import Synchronization

/// Lets one task at a time through, in the order in which they came.
final class Turnstile: Sendable {
  private struct State {
    var isTaken = false
    var waiters: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Runs `body` when nobody else is inside.
  func pass<R, E: Error>(_ body: () async throws(E) -> R) async throws(E) -> R {
    await enter()
    defer { leave() }
    return try await body()
  }

  private func enter() async {
    let isFree = state.withLock { state in
      defer { state.isTaken = true }
      return !state.isTaken
    }
    if isFree { return }
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isFree = state.withLock { state in
        guard state.isTaken else {
          state.isTaken = true
          return true
        }
        state.waiters.append(continuation)
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  private func leave() {
    let next = state.withLock { state in
      guard !state.waiters.isEmpty else {
        state.isTaken = false
        return nil as CheckedContinuation<Void, Never>?
      }
      return state.waiters.removeFirst()
    }
    next?.resume()
  }
}
