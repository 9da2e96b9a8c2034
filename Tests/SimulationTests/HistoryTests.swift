import Testing

/// What the checker of histories takes for possible.
struct HistoryTests {
  private typealias Effect = SimulationHistory.Effect

  private func isPossible(_ operations: [(Effect, ClosedRange<UInt64>)]) -> Bool {
    let history = SimulationHistory()
    for (effect, time) in operations {
      history.add(1, effect, from: time.lowerBound, to: time.upperBound)
    }
    return history.impossible().isEmpty
  }

  @Test("a read returns the write before it, not the one before that")
  func reads() {
    #expect(isPossible([(.write(1, .none), 1...2), (.write(2, .none), 3...4), (.read(2), 5...6)]))
    #expect(!isPossible([(.write(1, .none), 1...2), (.write(2, .none), 3...4), (.read(1), 5...6)]))
    #expect(!isPossible([(.write(1, .none), 1...2), (.read(0), 3...4)]))
  }

  @Test("a read beside a write returns either, and no later one goes back")
  func concurrent() {
    #expect(isPossible([(.write(1, .none), 1...9), (.read(0), 2...3), (.read(1), 4...5)]))
    #expect(!isPossible([(.write(1, .none), 1...9), (.read(1), 2...3), (.read(0), 4...5)]))
  }

  @Test("a write of unknown outcome may come at any later time, or never")
  func unknown() {
    let unknown: (Effect, ClosedRange<UInt64>) = (.write(1, .none), 5...UInt64.max)
    #expect(isPossible([unknown, (.read(0), 6...7)]))
    #expect(isPossible([unknown, (.read(0), 6...7), (.read(1), 8...9)]))
    #expect(!isPossible([unknown, (.read(1), 6...7), (.read(0), 8...9)]))
    #expect(!isPossible([unknown, (.read(1), 1...2)]))
  }

  @Test("of two writes that ask for absence only one succeeds")
  func conditions() {
    let first: (Effect, ClosedRange<UInt64>) = (.write(1, .absent), 1...9)
    #expect(isPossible([first, (.refused(.absent), 2...8)]))
    #expect(!isPossible([first, (.write(2, .absent), 2...8)]))
    #expect(isPossible([first, (.write(2, .matches(1)), 2...8), (.read(2), 10...11)]))
    #expect(!isPossible([(.refused(.exists), 10...11), first]))
  }

  @Test("a delete tells whether there was something")
  func deletes() {
    #expect(isPossible([(.write(1, .none), 1...2), (.remove(existed: true), 3...4)]))
    #expect(!isPossible([(.write(1, .none), 1...2), (.remove(existed: false), 3...4)]))
    #expect(
      !isPossible([
        (.write(1, .none), 1...2), (.remove(existed: true), 3...9), (.remove(existed: true), 4...8),
      ]))
  }
}
