import Runtime

/// A moment of the monotonic clock at which waiting ends.
public struct Deadline: Hashable, Sendable {
  /// Nanoseconds of `MonotonicTime`.
  public let nanoseconds: UInt64

  /// So many milliseconds from now; less than none is none.
  public init(milliseconds: Int) {
    let length = UInt64(clamping: milliseconds).multipliedReportingOverflow(by: 1_000_000)
    let (sum, overflow) = MonotonicTime.nanoseconds.addingReportingOverflow(length.partialValue)
    nanoseconds = length.overflow || overflow ? UInt64.max : sum
  }

  /// Whether it has come.
  public var hasPassed: Bool { MonotonicTime.nanoseconds >= nanoseconds }

  /// What is left, rounded up to whole milliseconds; 0 when it has come.
  public var remainingMilliseconds: Int {
    let now = MonotonicTime.nanoseconds
    guard nanoseconds > now else { return 0 }
    return Int(clamping: (nanoseconds - now) / 1_000_000 + 1)
  }

  /// The earlier of two.
  public func earlier(_ other: Deadline) -> Deadline {
    nanoseconds <= other.nanoseconds ? self : other
  }
}
