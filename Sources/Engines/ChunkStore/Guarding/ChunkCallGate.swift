internal import Runtime

/// Lets the calls of one store through the breaker, once or with repetitions.
struct ChunkCallGate: Sendable {
  let breaker: CircuitBreaker
  let retry: RetryPolicy
  let clock: any PauseClock
  let random: any RandomSource
  let verdict: @Sendable (ChunkStoreError) -> CircuitBreaker.Verdict

  /// What an error says; who was told to stop says nothing about the server.
  private func read(_ error: ChunkStoreError) -> CircuitBreaker.Verdict {
    Task.isCancelled ? .unknown : verdict(error)
  }

  /// Counts the error of a call that needed no permit.
  func note(_ error: ChunkStoreError) { breaker.record(read(error)) }

  /// Makes a call, unless the breaker is open. `success` is what it shows when it succeeds.
  func once<R>(
    showing success: CircuitBreaker.Verdict = .success,
    _ body: () async throws(ChunkStoreError) -> R
  ) async throws(ChunkStoreError) -> R {
    guard let permit = breaker.admit() else { throw Self.refusal }
    return try await call(permit, showing: success, body)
  }

  private static let refusal = ChunkStoreError.offline(
    "the server has failed repeatedly and is given time")

  private func call<R>(
    _ permit: CircuitBreaker.Permit, showing success: CircuitBreaker.Verdict = .success,
    _ body: () async throws(ChunkStoreError) -> R
  ) async throws(ChunkStoreError) -> R {
    do throws(ChunkStoreError) {
      let result = try await body()
      breaker.record(success, of: permit)
      return result
    } catch {
      breaker.record(read(error), of: permit)
      throw error
    }
  }

  /// Makes a call again after transient errors, as far as the policies allow and the breaker lets
  /// calls through: what an open breaker refuses fails at once, with the last error of the call if
  /// there was one.
  func repeating<R>(
    _ body: () async throws(ChunkStoreError) -> R
  ) async throws(ChunkStoreError) -> R {
    var number = 0
    var last = Self.refusal
    while true {
      guard let permit = breaker.admit() else { throw last }
      do throws(ChunkStoreError) {
        return try await call(permit, body)
      } catch {
        last = error
        guard error.isTransient, ChunkCallPolicy.allowsRetries, !Task.isCancelled,
          breaker.state != .open,
          let delay = retry.delay(before: number, now: clock.now, random: random),
          (try? await clock.pause(delay)) != nil
        else { throw error }
        number += 1
      }
    }
  }
}
