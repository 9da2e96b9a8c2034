public import Base

/// What a gateway saw of its writer in the database when it renewed it last.
///
/// Kept outside of the database, it shows that the database was put back to an earlier state: what
/// was committed since is unknown to it, and must not be taken for garbage.
public struct WriterWitness: Hashable, Sendable {
  /// The writer.
  public var epoch: UInt64
  /// The end of its lease.
  public var leaseEnd: Timestamp

  /// Makes a witness.
  public init(epoch: UInt64, leaseEnd: Timestamp) {
    self.epoch = epoch
    self.leaseEnd = leaseEnd
  }

  /// How many epochs are left out when the database was put back: more than writers can have begun
  /// between the backup and the loss, so that none of theirs is given again.
  public static let timelineGap: UInt64 = 1 << 16
}
