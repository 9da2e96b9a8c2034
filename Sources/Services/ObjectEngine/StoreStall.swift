/// How long a store is spared that did not take a write in time.
struct StoreStall {
  /// The rest after the first failure; doubled each time that it fails right after a rest.
  static let firstRest = Duration.seconds(5)
  /// The longest rest, and how long after one a store has proved itself.
  static let longestRest = Duration.seconds(60)

  private var rest: Duration
  /// Until then it is the last to be written to.
  private(set) var until: Duration

  init(at now: Duration) {
    rest = Self.firstRest
    until = now + rest
  }

  /// It failed again: writes that began before the rest are no news.
  func again(at now: Duration) -> StoreStall {
    guard now >= until else { return self }
    guard now - until < Self.longestRest else { return StoreStall(at: now) }
    var next = self
    next.rest = min(rest * 2, Self.longestRest)
    next.until = now + next.rest
    return next
  }
}
