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
  /// Those of `distant` are cancelled when they stall; once those that got on, together with those
  /// that are `settled` already, are enough for a write, they have only a short grace. Those of
  /// `inline` run one after the other in the task of the caller: cheaper, where a call does not wait for a device to sync.
  func run(
    _ chunks: [Int], distant: Set<Int>, inline: Set<Int> = [], settled: [Int] = [],
    isEnough: ([Int]) -> Bool,
    _ body: @escaping @Sendable (Int) async throws(ChunkStoreError) -> Void
  ) async -> [Int: ChunkStoreError] {
    var errors: [Int: ChunkStoreError] = [:]
    let apart = chunks.filter { !inline.contains($0) }
    guard !apart.isEmpty else {
      for index in chunks { errors[index] = await Self.error(index, body) }
      return errors
    }
    let start = options.clock.now
    await withTaskGroup(of: Event.self) { group in
      for index in apart {
        group.addTask(executorPreference: pool) { .done(index, await Self.error(index, body)) }
      }
      var moved: [Int] = []
      for index in chunks where inline.contains(index) {
        let error = await Self.error(index, body)
        errors[index] = error
        if error == nil { moved.append(index) }
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
      // How long to wait after a step forward; nil while too few got on to judge the others.
      func patience() -> Duration? {
        let done = settled + moved
        guard done.count >= quorum else { return nil }
        guard isEnough(done) else { return options.writeStall }
        // Whoever got on last has just done so.
        let grace = (options.clock.now - start) * options.writeGraceFactor
        return min(max(options.writeGrace, grace), options.writeStall)
      }
      if !distant.isEmpty { arm(patience() ?? options.writeLimit) }
      var givenUp: Set<Int> = []
      while !running.isEmpty, let event = await group.next() {
        switch event {
        case .done(let index, let error):
          running.remove(index)
          errors[index] = error.map { Self.told($0, isGivenUp: givenUp.contains(index)) }
          if error == nil { moved.append(index) }
          guard !running.isDisjoint(with: distant), error == nil, let patience = patience()
          else { continue }
          arm(patience)
        case .tick(let number):
          // Those that are called here end as always; the others are told to.
          guard number == armed else { continue }
          givenUp = running.intersection(distant)
          group.cancelAll()
        }
      }
      group.cancelAll()
    }
    return errors
  }

  /// A call that was given up shows nothing but that its store does not answer.
  private static func told(_ error: ChunkStoreError, isGivenUp: Bool) -> ChunkStoreError {
    if isGivenUp, case .io = error { return .offline("no progress in time") }
    return error
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
