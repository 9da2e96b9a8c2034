/// What an operator may change about background work. The defaults are the design's.
public struct BackgroundConfiguration: Sendable {
  /// How long chunks of deleted objects are kept: 15 min.
  public var deletionDelay: Duration = .seconds(900)
  /// In what time every chunk is verified once; nil for never: 30 days.
  public var scrubPeriod: Duration? = .seconds(30 * 86_400)
  /// The part of the time that the periodic scrub works: a tenth.
  public var scrubDutyCycle = 0.1
  /// The part of the time that repair works, and spreading as well: three tenths.
  public var repairDutyCycle = 0.3
  /// How long a session of the Files API may rest before it has failed: 1 h.
  public var sessionIdle: Duration = .seconds(3600)
  /// How often abandoned uploads are looked for: every 5 min.
  public var cleanupInterval: Duration = .seconds(300)
  /// The age at which multipart uploads are aborted; nil for never, as S3 does.
  public var multipartAge: Duration?

  /// How often each storage server is asked how it is: 10 s.
  public var heartbeatInterval: Duration = .seconds(10)
  /// How often the members are read from the database at least: 30 s.
  public var refreshInterval: Duration = .seconds(30)
  /// Without a heartbeat for so long a server is not written to: 30 s.
  public var inactiveAfter: Duration = .seconds(30)
  /// Without a heartbeat for so long the chunks of a server are made again elsewhere: 15 min.
  public var lossGrace: Duration = .seconds(900)
  /// How long a writer, and the leader of background work, are believed without a sign of life; the
  /// same in all gateways: 30 s.
  public var leaseLength: Duration = .seconds(30)
  /// How often an idle repair looks for work: 10 s.
  public var repairInterval: Duration = .seconds(10)
  /// One extent is repaired at a time, and chunks of one moved, for each so many servers; nil for as
  /// many as it has chunks.
  public var serversPerRepair: Int?
  /// The most extents that are repaired at a time, but for small ones that bear no further loss, and
  /// the most that chunks are moved of: 8.
  public var maximumRepairs = 8
  /// How often what writers that are gone left is looked for: 60 s.
  public var sweepInterval: Duration = .seconds(60)
  /// How often an idle rebalance looks whether the ring has changed: 10 s.
  public var rebalanceInterval: Duration = .seconds(10)
  /// In what time every store is compared with the metadata once, for chunks that it holds and
  /// should not: a day.
  public var comparisonPeriod: Duration = .seconds(86_400)

  /// The defaults.
  public init() {}
}
