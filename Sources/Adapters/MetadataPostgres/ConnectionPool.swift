import Metadata
import Postgres
import Synchronization

/// A session and what is known of it; used by one task at a time.
final class PooledConnection: @unchecked Sendable {
  let connection: Connection
  /// Sessions made before something happened that concerns all of them have a lower number.
  let generation: Int

  init(_ connection: Connection, generation: Int) {
    self.connection = connection
    self.generation = generation
  }
}

/// Connections, at most so many, made when they are needed; and those who wait for one, in order.
///
/// Opens and closes nothing itself: what it hands out is a connection or the right to make one.
final class ConnectionPool: Sendable {
  enum Grant: Sendable {
    case connection(PooledConnection)
    /// The right to make one, for the given generation.
    case permit(generation: Int)
  }

  private struct Waiter {
    var number: Int
    var continuation: CheckedContinuation<Grant, any Error>
  }

  private struct State {
    var idle: [PooledConnection] = []
    /// Handed out or idle.
    var open = 0
    var waiters: [Waiter] = []
    var nextWaiter = 0
    /// Waiters that were cancelled before they stood in line.
    var cancelled: Set<Int> = []
    var generation = 0
    var isClosed = false
  }

  static let closed = MetadataError.unavailable("the metadata database is closed")

  let size: Int
  private let maximumWaiting: Int
  private let patience: Int
  private let state = Mutex(State())

  init(size: Int, maximumWaiting: Int, patience: Int) {
    self.size = max(size, 1)
    self.maximumWaiting = maximumWaiting
    self.patience = patience
  }

  /// Connections that are open or being opened, those of them that are idle, and who waits.
  var gauges: (open: Int, idle: Int, waiting: Int) {
    state.withLock { ($0.open, $0.idle.count, $0.waiters.count) }
  }

  /// A connection or the right to make one. Throws `MetadataError.unavailable` when too many wait,
  /// or the wait was too long, and `CancellationError`.
  func take() async throws -> Grant {
    let (grant, number) = try state.withLock { state throws(MetadataError) in
      if state.isClosed { throw Self.closed }
      if let grant = Self.free(&state, size: size) { return (Optional(grant), 0) }
      guard state.waiters.count < maximumWaiting else { throw Self.crowded }
      state.nextWaiter += 1
      return (nil, state.nextWaiter)
    }
    if let grant { return grant }
    return try await wait(number)
  }

  private static let crowded = MetadataError.unavailable(
    "too many requests wait for the metadata database")
  private static let impatience = MetadataError.unavailable(
    "no connection to the metadata database was free in time")

  private static func free(_ state: inout State, size: Int) -> Grant? {
    if let connection = state.idle.popLast() { return .connection(connection) }
    guard state.open < size else { return nil }
    state.open += 1
    return .permit(generation: state.generation)
  }

  private func wait(_ number: Int) async throws -> Grant {
    let patience = self.patience
    defer { _ = state.withLock { $0.cancelled.remove(number) } }
    let result = await withTaskGroup(of: Result<Grant, any Error>.self) { group in
      group.addTask {
        do { return .success(try await self.standInLine(number)) } catch { return .failure(error) }
      }
      group.addTask {
        do { try await Task.sleep(for: .milliseconds(patience)) } catch { return .failure(error) }
        return .failure(Self.impatience)
      }
      // Whichever comes first ends the other; both are heard, so that no grant is lost.
      var granted: Grant?
      var failure: (any Error)?
      for await result in group {
        switch result {
        case .success(let grant): granted = grant
        case .failure(let error): failure = failure ?? error
        }
        group.cancelAll()
      }
      if let granted { return Result<Grant, any Error>.success(granted) }
      return .failure(failure ?? Self.impatience)
    }
    return try result.get()
  }

  private func standInLine(_ number: Int) async throws -> Grant {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let answer: Result<Grant, any Error>? = state.withLock { state in
          if state.cancelled.remove(number) != nil { return .failure(CancellationError()) }
          if state.isClosed { return .failure(Self.closed) }
          if let grant = Self.free(&state, size: size) { return .success(grant) }
          guard state.waiters.count < maximumWaiting else { return .failure(Self.crowded) }
          state.waiters.append(Waiter(number: number, continuation: continuation))
          return nil
        }
        if let answer { continuation.resume(with: answer) }
      }
    } onCancel: {
      leaveLine(number)
    }
  }

  private func leaveLine(_ number: Int) {
    let waiter: Waiter? = state.withLock { state in
      guard let index = state.waiters.firstIndex(where: { $0.number == number }) else {
        // Not in line yet, or granted already; in that case the note is dropped with the grant.
        state.cancelled.insert(number)
        return nil
      }
      return state.waiters.remove(at: index)
    }
    waiter?.continuation.resume(throwing: CancellationError())
  }

  /// Gives back a connection that can be used again.
  func give(_ connection: PooledConnection) {
    pass { state in
      guard connection.generation == state.generation, !state.isClosed else {
        return .permit(generation: state.generation)
      }
      return .connection(connection)
    }
  }

  /// Gives back the right to a connection that was not made, or is of no use any more.
  func drop() {
    pass { .permit(generation: $0.generation) }
  }

  /// Passes on what `make` returns: to the first in line, or to whoever comes next.
  private func pass(_ make: (State) -> Grant) {
    let next: (waiter: Waiter, grant: Grant)? = state.withLock { state in
      let grant = make(state)
      if !state.waiters.isEmpty { return (state.waiters.removeFirst(), grant) }
      if case .connection(let connection) = grant {
        state.idle.append(connection)
      } else {
        state.open -= 1
      }
      return nil
    }
    if let next { next.waiter.continuation.resume(returning: next.grant) }
  }

  /// Has connections as old as this one made anew before they are used again.
  func distrust(_ generation: Int) {
    // Closed outside of the lock, by going out of scope.
    let old: [PooledConnection] = state.withLock { state in
      guard generation == state.generation else { return [] }
      state.generation += 1
      defer { state.idle = [] }
      state.open -= state.idle.count
      return state.idle
    }
    withExtendedLifetime(old) {}
  }

  /// Hands out nothing more; connections close as they come back.
  func close() {
    let (idle, waiters) = state.withLock { state in
      state.isClosed = true
      defer {
        state.open -= state.idle.count
        state.idle = []
        state.waiters = []
      }
      return (state.idle, state.waiters)
    }
    for waiter in waiters { waiter.continuation.resume(throwing: Self.closed) }
    withExtendedLifetime(idle) {}
  }
}
