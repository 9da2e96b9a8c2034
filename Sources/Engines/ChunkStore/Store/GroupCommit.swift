internal import Runtime
internal import Synchronization

/// Lets many tasks share one sync: while one flushes, the others' items gather for the next flush.
///
/// There is no thread or task of its own. The first to come flushes, on its own executor; when it
/// is done it hands the turn to the first of those who have come meanwhile. Where several come at
/// a time, a flush waits a little for more of them; a lone caller never waits.
final class GroupCommit<Item: Sendable, Output: Sendable>: Sendable {
  typealias Outcome = Result<Output, ChunkStoreError>

  private enum Step {
    case lead
    case done(Outcome)
  }

  private struct Entry {
    let item: Item
    /// Nil for the one that leads and does not wait.
    let continuation: CheckedContinuation<Step, Never>?
  }

  private struct State {
    var queue: [Entry] = []
    var isBusy = false
    /// Items of the batch before.
    var lastCount = 0
  }

  /// How long a flush waits before it looks whether company has come, in microseconds.
  private static var patience: Int { 2000 }
  /// How often it waits at most, as long as more come each time.
  private static var waits: Int { 3 }
  /// Items that are company enough.
  private static var company: Int { 12 }

  private let state = Mutex(State())
  private let prefix: @Sendable ([Item]) -> Int

  private let clock: (any Clock<Duration>)?

  /// `prefix` says how many of the first waiting items, at least one, make a batch. Waits for
  /// company by `clock`, or where there is none by blocking its thread.
  init(
    clock: (any Clock<Duration>)? = nil, prefix: @escaping @Sendable ([Item]) -> Int
  ) {
    self.clock = clock
    self.prefix = prefix
  }

  /// Returns or throws when the batch with the item has been flushed.
  ///
  /// `flush` makes a batch durable and gives one outcome for each of its items; it is the same
  /// for all callers, and never runs twice at the same time.
  func submit(
    _ item: Item, flush: ([Item]) -> [Outcome]
  ) async throws(ChunkStoreError) -> Output {
    let leads = state.withLock { state in
      guard !state.isBusy else { return false }
      state.isBusy = true
      state.queue.append(Entry(item: item, continuation: nil))
      return true
    }
    if leads {
      await gather()
      return try lead(flush).get()
    }
    let step = await withCheckedContinuation { (continuation: CheckedContinuation<Step, Never>) in
      let leads = state.withLock { state in
        state.queue.append(Entry(item: item, continuation: continuation))
        guard !state.isBusy else { return false }
        state.isBusy = true
        return true
      }
      if leads { continuation.resume(returning: .lead) }
    }
    switch step {
    case .lead:
      await gather()
      return try lead(flush).get()
    case .done(let outcome): return try outcome.get()
    }
  }

  /// Lets more items come when the callers are several: a sync costs much more than they do.
  private func gather() async {
    let (first, last) = state.withLock { ($0.queue.count, $0.lastCount) }
    guard max(first, last) > 1 else { return }
    var count = first
    for _ in 0..<Self.waits where count < Self.company {
      if let clock {
        // A caller that was cancelled flushes at once: others depend on it.
        guard (try? await clock.sleep(for: .microseconds(Self.patience))) != nil else { return }
      } else {
        // The thread may block, and does so for longer in the flush itself.
        BlockingPause.wait(microseconds: Self.patience)
      }
      let now = state.withLock { $0.queue.count }
      if now == count { return }
      count = now
    }
  }

  /// Flushes one batch, of which the caller's item is the first.
  private func lead(_ flush: ([Item]) -> [Outcome]) -> Outcome {
    let waiting = state.withLock { $0.queue.map(\.item) }
    let count = min(max(prefix(waiting), 1), waiting.count)
    // Only the leader removes entries: those seen above are still the first ones.
    let batch = state.withLock { state in
      let batch = Array(state.queue.prefix(count))
      state.queue.removeFirst(count)
      state.lastCount = batch.count
      return batch
    }
    let outcomes = flush(batch.map(\.item))
    precondition(outcomes.count == batch.count, "one outcome for each item")
    let next = state.withLock { state in
      state.isBusy = !state.queue.isEmpty
      return state.queue.first?.continuation
    }
    next?.resume(returning: .lead)
    for (entry, outcome) in zip(batch, outcomes).dropFirst() {
      entry.continuation?.resume(returning: .done(outcome))
    }
    return outcomes[0]
  }
}
