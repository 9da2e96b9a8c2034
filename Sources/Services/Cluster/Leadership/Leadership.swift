public import Metadata
public import Runtime
import Synchronization
public import Telemetry

/// Whether this process is the one that does the background work of all gateways.
///
/// The lease lasts as long as it is renewed by the database's time; a process that was paused, or
/// lost the database, finds it run out by its own clock no later than another can take it.
public final class Leadership: Sendable {
  /// The row of the lease.
  public static let leaseName = "background"

  private let metadata: any LeaseStore
  private let clock: any MonotonicClock
  private let length: Duration
  private let holder: Int64
  private let log: Log
  private let held = Mutex<WorkLease?>(nil)

  /// Competes for the lease as `holder`, which no other process has, for `length` at a time.
  public init(
    metadata: any LeaseStore, holder: Int64, length: Duration = .seconds(30),
    clock: any MonotonicClock = SystemMonotonicClock(), log: Log
  ) {
    self.metadata = metadata
    self.holder = holder
    self.length = length
    self.clock = clock
    self.log = log.named("leadership")
  }

  /// The lease while this process holds it; nil otherwise.
  public var lease: WorkLease? {
    guard let lease = held.withLock({ $0 }), lease.timeLeft > .zero else { return nil }
    return lease
  }

  /// How often the lease is to be renewed or competed for.
  public var interval: Duration { length / 6 }

  /// Renews the lease, or tries to take it. Called by one task at a time.
  public func update() async throws {
    // Counted from before the request: the database counts from later.
    let start = clock.now
    if let lease = held.withLock({ $0 }) {
      let isKept = try await metadata.renewLease(
        lease.name, holder: holder, fence: lease.fence, length: length)
      if isKept { return lease.extend(until: start + length) }
      lease.finish()
      held.withLock { $0 = nil }
      log.warning("another gateway leads the background work now")
    }
    guard
      let fence = try await metadata.acquireLease(Self.leaseName, holder: holder, length: length)
    else { return }
    let lease = WorkLease(
      name: Self.leaseName, holder: holder, fence: fence, until: start + length, clock: clock)
    held.withLock { $0 = lease }
    log.info("this gateway leads the background work", [("fence", "\(fence)")])
  }

  /// Gives the lease back, so that another gateway goes on at once.
  public func resign() async {
    guard let lease = held.withLock({ $0.take() }) else { return }
    lease.finish()
    // Should that fail, the lease runs out by itself.
    try? await metadata.releaseLease(lease.name, holder: holder, fence: lease.fence)
  }
}

/// Competes for the leadership of background work and keeps it.
public final class LeadershipWorker: BackgroundWorker {
  /// `leadership`.
  public let name = "leadership"
  /// As soon as the database is back, this goes on.
  public let longestDelay: Duration = .seconds(2)
  private let leadership: Leadership
  private let count = ProgressCell()

  /// Keeps `leadership`.
  public init(_ leadership: Leadership) { self.leadership = leadership }

  /// Items are rounds; the detail says whether this process leads.
  public var progress: WorkerProgress { count.value }

  /// Renews or competes once.
  public func step() async throws -> StepOutcome {
    defer { count.add(0, detail: leadership.lease == nil ? "another gateway leads" : "leading") }
    try await leadership.update()
    count.add(1)
    return .idle(nextAfter: leadership.interval)
  }
}
