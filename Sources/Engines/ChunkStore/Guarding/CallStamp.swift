/// Where a call stands in the order of the work that several processes take over from one another.
///
/// Of two calls to the same server the one with the higher stamp was begun by somebody who need not
/// know of the other: a deletion with a lower stamp than that of any call before it must not run.
public struct CallStamp: Comparable, Hashable, Sendable, CustomStringConvertible {
  /// Raised each time the work changes hands.
  public var fence: UInt64
  /// Raised each time a deletion under that fence may or may not have run.
  public var attempt: UInt64

  /// A stamp of these two numbers.
  public init(fence: UInt64, attempt: UInt64) {
    self.fence = fence
    self.attempt = attempt
  }

  /// Reads `description`; nil for any other text.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 41, parts.count == 2,
      text.utf8.allSatisfy({ $0 == 0x2e || (0x30...0x39).contains($0) }),
      let fence = UInt64(parts[0]), let attempt = UInt64(parts[1])
    else { return nil }
    self.init(fence: fence, attempt: attempt)
  }

  /// Both numbers in decimal, with a dot between them.
  public var description: String { "\(fence).\(attempt)" }

  /// By the fence first.
  public static func < (left: Self, right: Self) -> Bool {
    (left.fence, left.attempt) < (right.fence, right.attempt)
  }
}

/// What gives calls their stamps. Usable from any task.
public protocol CallStamping: Sendable {
  /// That of a call which begins now.
  var stamp: CallStamp { get }
  /// How long what the work may do is still its own; not positive once it is over.
  var timeLeft: Duration { get }
}
