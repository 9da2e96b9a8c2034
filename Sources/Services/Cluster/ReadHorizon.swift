import Base
import Metadata
import ObjectEngine

/// Knows which reads have ended, in this process or in all gateways.
struct ReadHorizon: Sendable {
  /// What must have ended: the reads that began before a moment.
  struct Mark: Sendable {
    /// The newest read of this process at that moment.
    var newestRead: UInt64
    /// The moment, by the database's clock; nil where there are no other processes.
    var time: Timestamp?
  }

  /// How far the clocks of a read and of a tombstone may be apart.
  static let clockSkewMilliseconds: Int64 = 60_000

  private let engine: ObjectEngine
  private let others: (any WriterLeaseStore)?
  private let leaseMilliseconds: Int64

  /// Of the reads of `engine`, and of those of all live writers in `others`, whose leases last
  /// `lease`.
  init(engine: ObjectEngine, others: (any WriterLeaseStore)?, lease: Duration) {
    self.engine = engine
    self.others = others
    leaseMilliseconds = lease.wholeMilliseconds
  }

  /// Now.
  func mark() async throws -> Mark {
    Mark(
      newestRead: engine.reads.newest,
      time: others == nil ? nil : try await engine.metadata.now())
  }

  /// Whether all reads that began before `mark` have ended.
  func hasPassed(_ mark: Mark, horizon: Timestamp?) -> Bool {
    guard engine.reads.haveEnded(through: mark.newestRead) else { return false }
    guard let time = mark.time else { return true }
    return horizon.map { $0 > time } ?? false
  }

  /// The moment before which every read that still runs anywhere did not begin; nil where there are
  /// no other processes.
  ///
  /// A writer tells of its oldest read when it renews its lease: what began since then is not known
  /// yet, so that no later moment counts. Twice the length of a lease, since another process may
  /// have been given a shorter one.
  func moment() async throws -> Timestamp? {
    guard let others else { return nil }
    var horizon = try await engine.metadata.now()
    for writer in try await others.liveWriters() {
      let renewed = writer.leaseEnd.advanced(byMilliseconds: -2 * leaseMilliseconds)
      horizon = min(horizon, renewed)
      if let oldest = writer.oldestRead {
        horizon = min(horizon, oldest.advanced(byMilliseconds: -1000))
      }
    }
    return horizon
  }

  /// What was deleted before this moment is needed by no read that runs.
  func cutoff(delayMilliseconds: Int64) async throws -> Timestamp {
    // The reads are looked for first: one that begins later sees no extent that is dead by then.
    let oldest = engine.reads.oldest
    let horizon = try await moment()
    var cutoff = try await engine.metadata.now().advanced(byMilliseconds: -delayMilliseconds)
    if let oldest {
      cutoff = min(cutoff, oldest.advanced(byMilliseconds: -Self.clockSkewMilliseconds))
    }
    return horizon.map { min($0, cutoff) } ?? cutoff
  }
}
