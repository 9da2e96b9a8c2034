import ChunkStore
import Metadata
import ObjectEngine
import Synchronization

/// Asks the storage servers of a cluster how they are, and goes by the members in the metadata.
/// Each gateway runs its own.
public final class MembershipWorker: BackgroundWorker {
  /// How soon a server that does not answer is asked again, and how soon it is looked for others
  /// while there are too few.
  static let impatience: Duration = .seconds(2)

  /// `membership`.
  public let name = "membership"
  /// It must not wait for steps that read from stores which hang.
  public let isUrgent = true
  /// As soon as the database is back, this goes on.
  public let longestDelay: Duration = .seconds(2)
  private let membership: ClusterMembership
  private let leadership: Leadership
  private let count = ProgressCell()

  /// Keeps `membership`; the process that leads records how much stores hold.
  public init(_ membership: ClusterMembership, leadership: Leadership) {
    self.membership = membership
    self.leadership = leadership
  }

  /// Items are rounds; the detail says how many servers answer.
  public var progress: WorkerProgress { count.value }

  /// One round. The servers are asked even when the database does not answer.
  public func step() async throws -> StepOutcome {
    var failure: (any Error)?
    do { try await refresh() } catch {
      membership.forgetObservation()
      failure = error
    }
    do {
      if let lease = leadership.lease {
        // So that every server hears soon who leads. What is recorded is no led work.
        try await ChunkCallPolicy.$stamping.withValue(LeaseStamping(lease: lease)) {
          try await membership.poll(recordsUsage: true)
        }
      } else {
        try await membership.poll(recordsUsage: false)
      }
    } catch {
      failure = failure ?? error
    }
    let (well, all) = membership.state.withLock { state in
      (state.sights.values.count { $0.reason == nil }, state.sights.count)
    }
    count.add(1, detail: "\(well) of \(all) storage servers answer")
    if let failure { throw failure }
    let interval = membership.configuration.heartbeatInterval
    return .idle(
      nextAfter: membership.isAnySilent || membership.isSmall
        ? min(interval, Self.impatience) : interval)
  }

  private func refresh() async throws {
    let known = membership.members?.ringVersion
    let isDue = membership.isRefreshDue || membership.isAnySilent
    guard !isDue else { return try await membership.refresh() }
    if try await membership.metadata.ringVersion() != known { try await membership.refresh() }
  }
}
