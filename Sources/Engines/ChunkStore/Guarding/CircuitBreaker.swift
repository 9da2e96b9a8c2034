internal import Synchronization

/// Keeps callers away from a server that does not answer, so that they fail at once instead of
/// waiting; all stores of one server share one.
///
/// Closed: calls go through; so many failures in a row open it. Open: every call fails at once.
/// After a while it is half open: a few calls at a time go through as a trial; so many successes
/// close it, one failure opens it again. Usable from any task.
public final class CircuitBreaker: Sendable {
  /// How a breaker stands; the raw values are for metrics.
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// Calls go through.
    case closed
    /// No call goes through.
    case open
    /// Trial calls go through.
    case halfOpen = "half_open"
  }

  /// The limits; the defaults are the design's.
  public struct Options: Hashable, Sendable {
    /// Failures in a row that open it: 5.
    public var failuresToOpen: Int
    /// How long it stays open: 30 s.
    public var openDuration: Duration
    /// Successes in a row that close it, and trial calls at a time: 3.
    public var successesToClose: Int

    /// Makes options; values below 1 are taken as 1.
    public init(
      failuresToOpen: Int = 5, openDuration: Duration = .seconds(30), successesToClose: Int = 3
    ) {
      self.failuresToOpen = max(1, failuresToOpen)
      self.openDuration = openDuration
      self.successesToClose = max(1, successesToClose)
    }
  }

  /// What a call says about the server.
  public enum Verdict: Hashable, Sendable {
    /// It answers, if only to refuse.
    case success
    /// It does not answer.
    case failure
    /// Nothing, as when the caller gave up.
    case unknown

    /// Offline speaks against the server; a failure of unknown nature says nothing; every other
    /// error is an answer.
    public init(_ error: ChunkStoreError) {
      switch error {
      case .offline: self = .failure
      case .io: self = .unknown
      case .missing, .corrupt, .full, .fenced, .tooLarge: self = .success
      }
    }
  }

  /// The right to one call; handed back with `record`.
  public struct Permit: Sendable {
    /// What a call says that was begun before the state changed is not counted.
    fileprivate let generation: UInt64
  }

  /// Counts since the start, for metrics.
  public struct Counts: Hashable, Sendable {
    /// How often it opened.
    public var openings = 0
    /// Calls that it refused.
    public var refusals = 0
  }

  private enum Phase {
    case closed(failures: Int)
    case open(since: Duration)
    case halfOpen(trials: Int, successes: Int)
  }

  private struct Memory {
    var phase = Phase.closed(failures: 0)
    var generation: UInt64 = 0
    var counts = Counts()

    mutating func enter(_ phase: Phase) {
      self.phase = phase
      generation &+= 1
      if case .open = phase { counts.openings += 1 }
    }
  }

  /// The limits.
  public let options: Options
  private let clock: any PauseClock
  private let memory = Mutex(Memory())

  /// Makes a closed breaker.
  public init(options: Options = Options(), clock: any PauseClock = SystemPauseClock()) {
    self.options = options
    self.clock = clock
  }

  /// How it stands now: one whose time is up counts as half open.
  public var state: State {
    let now = clock.now
    return memory.withLock { memory in
      switch memory.phase {
      case .closed: .closed
      case .open(let since): now - since >= options.openDuration ? .halfOpen : .open
      case .halfOpen: .halfOpen
      }
    }
  }

  /// What it has done so far.
  public var counts: Counts { memory.withLock { $0.counts } }

  /// Asks for one call; nil when it is not to be made. Each permit is recorded once.
  public func admit() -> Permit? {
    let now = clock.now
    return memory.withLock { memory in
      if case .open(let since) = memory.phase, now - since >= options.openDuration {
        memory.enter(.halfOpen(trials: 0, successes: 0))
      }
      switch memory.phase {
      case .closed: break
      case .halfOpen(let trials, let successes) where trials < options.successesToClose:
        memory.phase = .halfOpen(trials: trials + 1, successes: successes)
      case .open, .halfOpen:
        memory.counts.refusals += 1
        return nil
      }
      return Permit(generation: memory.generation)
    }
  }

  /// Says what a permitted call has shown.
  public func record(_ verdict: Verdict, of permit: Permit) {
    let now = clock.now
    memory.withLock { memory in
      guard permit.generation == memory.generation else { return }
      if case .halfOpen(let trials, let successes) = memory.phase {
        memory.phase = .halfOpen(trials: trials - 1, successes: successes)
      }
      count(verdict, at: now, in: &memory)
    }
  }

  /// Says what something has shown that needed no permit, as the later steps of a long call.
  public func record(_ verdict: Verdict) {
    let now = clock.now
    memory.withLock { count(verdict, at: now, in: &$0) }
  }

  /// The server was out of reach and is not any more: an open breaker tries it at once.
  func noteReturn() {
    memory.withLock { memory in
      if case .open = memory.phase { memory.enter(.halfOpen(trials: 0, successes: 0)) }
    }
  }

  private func count(_ verdict: Verdict, at now: Duration, in memory: inout Memory) {
    switch (memory.phase, verdict) {
    case (.closed, .success): memory.phase = .closed(failures: 0)
    case (.closed(let failures), .failure):
      if failures + 1 >= options.failuresToOpen {
        memory.enter(.open(since: now))
      } else {
        memory.phase = .closed(failures: failures + 1)
      }
    case (.halfOpen(let trials, let successes), .success):
      if successes + 1 >= options.successesToClose {
        memory.enter(.closed(failures: 0))
      } else {
        memory.phase = .halfOpen(trials: trials, successes: successes + 1)
      }
    case (.halfOpen, .failure): memory.enter(.open(since: now))
    case (_, .unknown), (.open, _): break
    }
  }
}
