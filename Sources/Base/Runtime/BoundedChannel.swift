import Synchronization

/// A queue of bounded length between one task that sends and one that receives.
///
/// Either side may give up: the receiver by `close(throwing:)`, the sender by `finish(throwing:)`.
/// A task that is cancelled while it waits throws `CancellationError`.
public final class BoundedChannel<Element: Sendable>: Sendable {
  private struct State {
    var elements: [Element] = []
    var sender: CheckedContinuation<Void, any Error>?
    var receiver: CheckedContinuation<Void, any Error>?
    var isFinished = false
    var failure: (any Error)?
    var isClosed = false
    var refusal: (any Error)?
  }

  private enum Step<Result> {
    case done(Result)
    case wait
    case fail(any Error)
  }

  private let capacity: Int
  private let state = Mutex(State())

  /// Makes a channel that holds at most `capacity` elements. Precondition: it is positive.
  public init(capacity: Int) {
    precondition(capacity > 0, "a channel holds something")
    self.capacity = capacity
  }

  /// Appends an element, waiting while the channel is full. Throws what the receiver has closed the
  /// channel with, else `CancellationError` when it is closed: then the element was not taken.
  public func send(_ element: Element) async throws {
    while true {
      let (step, receiver) = state.withLock {
        state -> (Step<Void>, CheckedContinuation<Void, any Error>?) in
        if state.isClosed || state.isFinished {
          return (.fail(state.refusal ?? CancellationError()), nil)
        }
        guard state.elements.count < capacity else { return (.wait, nil) }
        state.elements.append(element)
        return (.done(()), state.receiver.take())
      }
      receiver?.resume()
      switch step {
      case .done: return
      case .fail(let error): throw error
      case .wait: try await wait(as: .sender) { $0.elements.count >= self.capacity && !$0.isClosed }
      }
    }
  }

  /// The next element; nil after the sender has finished. Throws what the sender failed with.
  public func next() async throws -> Element? {
    while true {
      let (step, sender) = state.withLock {
        state -> (Step<Element?>, CheckedContinuation<Void, any Error>?) in
        if !state.elements.isEmpty {
          return (.done(state.elements.removeFirst()), state.sender.take())
        }
        if let failure = state.failure { return (.fail(failure), nil) }
        return state.isFinished ? (.done(nil), nil) : (.wait, nil)
      }
      sender?.resume()
      switch step {
      case .done(let element): return element
      case .fail(let error): throw error
      case .wait: try await wait(as: .receiver) { $0.elements.isEmpty && !$0.isFinished }
      }
    }
  }

  /// Says that nothing more comes, or why nothing more can come.
  public func finish(throwing error: (any Error)? = nil) {
    let receiver = state.withLock { state in
      if !state.isFinished {
        state.isFinished = true
        state.failure = error
      }
      return state.receiver.take()
    }
    receiver?.resume()
  }

  /// Says that nothing more is wanted, or why; returns what was sent and not received. What it is
  /// closed with first counts.
  public func close(throwing error: (any Error)? = nil) -> [Element] {
    let (left, sender) = state.withLock { state in
      if !state.isClosed {
        state.isClosed = true
        state.refusal = error
      }
      defer { state.elements = [] }
      return (state.elements, state.sender.take())
    }
    sender?.resume()
    return left
  }

  private enum Side {
    case sender
    case receiver
  }

  private func wait(
    as side: Side, while blocked: (borrowing State) -> Bool
  ) async throws {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let resume = state.withLock { state in
          guard blocked(state), !Task.isCancelled else { return true }
          switch side {
          case .sender: state.sender = continuation
          case .receiver: state.receiver = continuation
          }
          return false
        }
        if resume { continuation.resume() }
      }
      try Task.checkCancellation()
    } onCancel: {
      let waiting = state.withLock { state in
        switch side {
        case .sender: state.sender.take()
        case .receiver: state.receiver.take()
        }
      }
      waiting?.resume(throwing: CancellationError())
    }
  }
}
