import ChunkStore
import Runtime
import TestSupport
import Testing

@Suite("Circuit breaker")
struct CircuitBreakerTests {
  private let clock = SteppedClock()

  private func call(_ breaker: CircuitBreaker, _ verdict: CircuitBreaker.Verdict) -> Bool {
    guard let permit = breaker.admit() else { return false }
    breaker.record(verdict, of: permit)
    return true
  }

  private func opened() -> CircuitBreaker {
    let breaker = CircuitBreaker(clock: clock)
    for _ in 0..<5 { #expect(call(breaker, .failure)) }
    return breaker
  }

  @Test("five failures in a row open it; a success between them starts the count anew")
  func opens() {
    let breaker = CircuitBreaker(clock: clock)
    for _ in 0..<4 { #expect(call(breaker, .failure)) }
    #expect(call(breaker, .success))
    for _ in 0..<4 { #expect(call(breaker, .failure)) }
    #expect(call(breaker, .unknown))
    #expect(breaker.state == .closed)
    #expect(call(breaker, .failure))
    #expect(breaker.state == .open)
    #expect(!call(breaker, .success))
    #expect(breaker.counts.openings == 1 && breaker.counts.refusals == 1)
  }

  @Test("it is open for 30 seconds, then half open, and three successes close it")
  func closes() {
    let breaker = opened()
    clock.advance(.milliseconds(29_999))
    #expect(breaker.state == .open && breaker.admit() == nil)
    clock.advance(.milliseconds(1))
    #expect(breaker.state == .halfOpen)
    for _ in 0..<2 {
      #expect(call(breaker, .success))
      #expect(breaker.state == .halfOpen)
    }
    #expect(call(breaker, .success))
    #expect(breaker.state == .closed)
    for _ in 0..<4 { #expect(call(breaker, .failure)) }
    #expect(breaker.state == .closed)
  }

  @Test("a failed trial opens it for another 30 seconds")
  func opensAgain() {
    let breaker = opened()
    clock.advance(.seconds(30))
    #expect(call(breaker, .success) && call(breaker, .success) && call(breaker, .failure))
    #expect(breaker.state == .open)
    clock.advance(.seconds(29))
    #expect(breaker.state == .open)
    clock.advance(.seconds(1))
    #expect(breaker.state == .halfOpen)
    #expect(breaker.counts.openings == 2)
  }

  @Test("half open lets three trials through at a time, and takes back those that showed nothing")
  func trials() throws {
    let breaker = opened()
    clock.advance(.seconds(30))
    let permits = (0..<3).compactMap { _ in breaker.admit() }
    #expect(permits.count == 3 && breaker.admit() == nil)
    breaker.record(.unknown, of: permits[0])
    let again = try #require(breaker.admit())
    #expect(breaker.admit() == nil)
    for permit in [again, permits[1], permits[2]] { breaker.record(.success, of: permit) }
    #expect(breaker.state == .closed)
  }

  @Test("what was begun before the state changed is not counted")
  func stale() throws {
    let breaker = CircuitBreaker(clock: clock)
    let late = try #require(breaker.admit())
    let later = try #require(breaker.admit())
    for _ in 0..<5 { #expect(call(breaker, .failure)) }
    breaker.record(.success, of: late)
    #expect(breaker.state == .open)
    clock.advance(.seconds(30))
    #expect(call(breaker, .success))
    breaker.record(.failure, of: later)
    #expect(breaker.state == .halfOpen)
  }

  @Test("offline speaks against the server, an answer for it, an unknown failure not at all")
  func verdicts() {
    let failures: [ChunkStoreError] = [.offline("")]
    let answers: [ChunkStoreError] = [
      .missing, .corrupt(""), .full, .fenced(""), .tooLarge(""),
    ]
    for error in failures { #expect(CircuitBreaker.Verdict(error) == .failure) }
    for error in answers { #expect(CircuitBreaker.Verdict(error) == .success) }
    #expect(CircuitBreaker.Verdict(.io("")) == .unknown)
  }
}
