public import Runtime

/// When a call that failed is made again: exponential back-off with full jitter.
public struct RetryPolicy: Hashable, Sendable {
  /// How often a call is repeated at most: 3.
  public var maximumRetries: Int
  /// The longest wait before the first repetition; doubled for each one that follows: 1 s.
  public var firstDelay: Duration
  /// The longest wait of all: 8 s.
  public var largestDelay: Duration

  /// Makes a policy; every argument has the design's default.
  public init(
    maximumRetries: Int = 3, firstDelay: Duration = .seconds(1),
    largestDelay: Duration = .seconds(8)
  ) {
    self.maximumRetries = max(0, maximumRetries)
    self.firstDelay = max(.zero, firstDelay)
    self.largestDelay = max(.zero, largestDelay)
  }

  /// The longest wait before repetition `number`, counted from 0.
  public func ceiling(_ number: Int) -> Duration {
    // More doublings than that exceed every limit anyway.
    min(largestDelay, firstDelay * (1 << min(max(number, 0), 30)))
  }

  /// How long to wait before repetition `number`, counted from 0: anything up to its ceiling, each
  /// as likely as the other, so that callers that failed together do not come back together. Nil
  /// when there is none of that number, or when it would begin behind the deadline of the request.
  public func delay(
    before number: Int, now: Duration, random: any RandomSource
  ) -> Duration? {
    guard number < maximumRetries else { return nil }
    let fraction = Double(random.next() >> 11) / Double(1 << 53)
    let delay = ceiling(number) * fraction
    if let deadline = ChunkCallPolicy.deadline, now + delay >= deadline { return nil }
    return delay
  }
}

extension ChunkStoreError {
  /// Whether the same call may succeed a moment later.
  public var isTransient: Bool {
    switch self {
    case .offline, .io: true
    case .missing, .corrupt, .full, .fenced, .tooLarge: false
    }
  }
}
