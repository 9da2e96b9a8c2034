/// Leases of work that one process does for all, by the database's time.
public protocol LeaseStore: Sendable {
  /// Takes the lease of that name for `length`, with a new fence; nil while another holder's lasts.
  ///
  /// From then on transactions under an older fence of that lease fail with `fenced`.
  func acquireLease(_ name: String, holder: Int64, length: Duration) async throws -> Int64?

  /// Extends the lease; false when it has another holder or fence by now.
  func renewLease(
    _ name: String, holder: Int64, fence: Int64, length: Duration
  ) async throws -> Bool

  /// Gives the lease back, so that another may take it at once.
  func releaseLease(_ name: String, holder: Int64, fence: Int64) async throws
}

/// Writers as their processes and whoever reclaims them see them.
public protocol WriterLeaseStore: WriterStore {
  /// `beginWriter` with a lease of `length`.
  func beginWriter(
    minimum: UInt64, ringVersion: Int64, lease length: Duration
  ) async throws -> WriterLease

  /// Extends the lease, tells how long the oldest running read has run, and which ring all writes
  /// that still run go by.
  ///
  /// Returns what the database says of the writer from then on; nil, and nothing is changed, when it
  /// is in a state of before the renewal's witness. Throws `fenced` when the writer was reclaimed.
  func renewWriter(_ renewal: WriterRenewal) async throws -> WriterWitness?

  /// The lease of this store's writer as it is now; nil before one was begun.
  func writerWitness() async throws -> WriterWitness?

  /// Whether the database is in a state of before `witness`, and no timeline was begun since.
  func isBefore(_ witness: WriterWitness) async throws -> Bool

  /// Fences the writers whose lease ran out, by the database's clock; waits for commits of theirs
  /// that are on their way. Returns their epochs.
  func fenceExpiredWriters() async throws -> [UInt64]

  /// The writers that are neither fenced nor ended.
  func liveWriters() async throws -> [WriterRecord]
}
