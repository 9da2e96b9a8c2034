public import Base

/// Whether changes go to the log before they are acknowledged.
public enum ChangeLogMode: String, Sendable, CaseIterable {
  /// Where stores lie on another device or server than the metadata.
  case automatic = "auto"
  /// Always, also on one device, where it protects from the loss of the database's files only.
  case on
  /// Never: what was written since the last snapshot is lost with the database.
  case off
}

/// How the metadata is kept in the stores. The defaults are the design's.
public struct RecoveryConfiguration: Sendable {
  /// From one snapshot to the next: 6 h; nil makes none but on request.
  public var snapshotInterval: Duration? = .seconds(6 * 3600)
  /// Snapshots that are kept: 2, and never fewer.
  public var keptSnapshots = 2
  /// Whether there is a log.
  public var changeLog = ChangeLogMode.automatic
  /// Stores that take each piece of the log; nil for parity + 1, so that the database and any
  /// `parity` stores may be lost at a time. Fewer where there are fewer.
  public var logCopies: Int?
  /// Pieces of the log from which on a snapshot is made ahead of its time: 100,000.
  public var maximumLogPieces = 100_000
  /// Bytes of the log from which on a snapshot is made ahead of its time: 1 GiB.
  public var maximumLogBytes = 1 << 30
  /// How long stores may be away before what they hold of the log is copied to others: 15 min.
  public var logSurveyDelay = Duration.seconds(900)
  /// What is lost together with each store: its device or server. Stores that are not named are
  /// taken by the server that the ring gives them.
  public var domains: [StoreID: String] = [:]
  /// What is lost together with the metadata; nil when it shares nothing with any store.
  public var metadataDomain: String?
  /// Bytes of one part of a snapshot, about: 1 GiB.
  public var snapshotPartLength = 1 << 30

  /// The defaults.
  public init() {}
}
