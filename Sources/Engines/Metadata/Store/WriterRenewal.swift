/// What a writer says as it renews its lease.
///
/// The functions are called anew for each attempt at the transaction, on any thread.
public struct WriterRenewal: Sendable {
  /// How long the lease lasts from now on.
  public var length: Duration
  /// The ring that all writes which still run go by.
  public var ringVersion: Int64
  /// What the database said last; nil for nothing.
  public var witness: WriterWitness?
  /// Called before the database is asked for its time: the lease begins no earlier.
  public var begin: @Sendable () -> Void
  /// How long the oldest running read has run at most, nil when none runs. Called once the
  /// database has told its time, so that it did not begin after what is recorded.
  public var readAge: @Sendable () -> Duration?

  /// A renewal by `length`.
  public init(
    length: Duration, ringVersion: Int64, since witness: WriterWitness? = nil,
    begin: @escaping @Sendable () -> Void = {},
    readAge: @escaping @Sendable () -> Duration? = { nil }
  ) {
    self.length = length
    self.ringVersion = ringVersion
    self.witness = witness
    self.begin = begin
    self.readAge = readAge
  }
}
