import ChunkStore
import Runtime

/// Calls several stores at once and gives up those that stall.
struct StoreCalls: Sendable {
  let options: FaultTolerance
  let pool: ThreadPool
  /// So many have to get on before one that does not counts as stalled.
  let quorum: Int

  private enum Event: Sendable {
    case done(Int, ChunkStoreError?)
    case tick(UInt64)
  }

  /// Runs `body` for each of `chunks` and returns the errors, by chunk.
  ///
  /// Those of `distant` are cancelled when they stall. Those of `inline` run one after the other in
  /// the task of the caller: cheaper, where a call does not wait for a device to sync.
  func run(
    _ chunks: [Int], distant: Set<Int>, inline: Set<Int> = [],
    _ body: @escaping @Sendable (Int) async throws(ChunkStoreError) -> Void
  ) async -> [Int: ChunkStoreError] {
    var errors: [Int: ChunkStoreError] = [:]
    let apart = chunks.filter { !inline.contains($0) }
    guard !apart.isEmpty else {
      for index in chunks { errors[index] = await Self.error(index, body) }
      return errors
    }
    await withTaskGroup(of: Event.self) { group in
      for index in apart {
        group.addTask(executorPreference: pool) { .done(index, await Self.error(index, body)) }
      }
      var moved = 0
      for index in chunks where inline.contains(index) {
        let error = await Self.error(index, body)
        errors[index] = error
        if error == nil { moved += 1 }
      }
      var running = Set(apart)
      var armed: UInt64 = 0
      // The latest of the timers counts: each step forward gives the others more time.
      func arm(_ duration: Duration) {
        armed += 1
        group.addTask { [armed, clock = options.clock] in
          try? await clock.pause(duration)
          return .tick(armed)
        }
      }
      if !distant.isEmpty { arm(moved >= quorum ? options.writeStall : options.writeLimit) }
      while !running.isEmpty, let event = await group.next() {
        switch event {
        case .done(let index, let error):
          running.remove(index)
          errors[index] = error
          if error == nil { moved += 1 }
          guard !running.isDisjoint(with: distant), error == nil, moved >= quorum else { continue }
          arm(options.writeStall)
        case .tick(let number):
          // Those that are called here end as always; the others are told to.
          if number == armed { group.cancelAll() }
        }
      }
      group.cancelAll()
    }
    return errors
  }

  private static func error(
    _ index: Int, _ body: (Int) async throws(ChunkStoreError) -> Void
  ) async -> ChunkStoreError? {
    do throws(ChunkStoreError) {
      try await body(index)
      return nil
    } catch {
      return error
    }
  }
}
