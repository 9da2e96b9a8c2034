public import Runtime
import Synchronization

/// The right to do background work, as long as no other process has taken it over.
///
/// Whoever does such work runs it with the lease as `current`: then each of its transactions
/// fails with `MetadataError.fenced` once another process holds the lease, and what it does outside
/// the database asks `checkCurrent` first. Usable from any task.
public final class WorkLease: Sendable {
  /// The lease under which the current task works; nil where there is nobody to share work with.
  @TaskLocal public static var current: WorkLease?

  /// What must be left of a lease for a deletion to begin.
  public static let margin: Duration = .seconds(2)

  /// The lease's row.
  public let name: String
  /// The process that holds it.
  public let holder: Int64
  /// Raised each time the lease changes hands.
  public let fence: Int64
  private let clock: any MonotonicClock
  private let end: Mutex<Duration>
  private let attempts = Mutex<UInt64>(0)

  /// A lease that lasts until `end` by `clock`.
  public init(
    name: String, holder: Int64, fence: Int64, until end: Duration, clock: any MonotonicClock
  ) {
    self.name = name
    self.holder = holder
    self.fence = fence
    self.clock = clock
    self.end = Mutex(end)
  }

  /// How long it still lasts by the process's own clock; not positive once it is over.
  public var timeLeft: Duration { end.withLock { $0 } - clock.now }

  /// It was renewed, and lasts until `end`.
  public func extend(until end: Duration) {
    self.end.withLock { $0 = max($0, end) }
  }

  /// How many deletions under this lease may or may not have run.
  public var attempt: UInt64 { attempts.withLock { $0 } }

  /// A deletion got no answer: it may still run, unless what is asked for later comes first.
  public func noteUncertainDeletion() { attempts.withLock { $0 &+= 1 } }

  /// It was lost or given back.
  public func finish() { end.withLock { $0 = .zero } }

  /// Throws `fenced` when the current task works under a lease of which less than `margin` is left.
  public static func checkCurrent(margin: Duration = WorkLease.margin) throws(MetadataError) {
    guard let current else { return }
    guard current.timeLeft > margin else { throw .fenced }
  }
}
