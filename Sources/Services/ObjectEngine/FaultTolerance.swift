public import ChunkStore

/// How long the engine waits for stores that suspend (`CancellableChunkStore`) before it does
/// without them. Stores of this machine are waited for in any case.
public struct FaultTolerance: Sendable {
  /// A read is slow when it takes longer than this many times what all but a twentieth of the reads
  /// of its kind took: 3.
  public var hedgeFactor: Double
  /// No read is slow before this: 50 ms.
  public var hedgeFloor: Duration
  /// Reads that may be made in addition because others are slow, in relation to all: 0.05.
  public var hedgeShare: Double
  /// How many of them may be made at once after a time without: 8.
  public var hedgeBurst: Int
  /// A read that takes longer counts as failed where others can stand in for it: 2 s.
  public var readStall: Duration
  /// A stripe that too few chunks have given by then, retries included, cannot be read: 30 s.
  public var readLimit: Duration
  /// How long a store that was given up in a read is read last: 10 s.
  public var suspicion: Duration
  /// A chunk is given up when it makes no progress for so long while as many others did as a write
  /// is acknowledged with: 2 s,
  public var writeGrace: Duration
  /// or, if that is longer, so many times what the slowest of these took: 4.
  public var writeGraceFactor: Int
  /// A chunk is given up when it makes no progress for so long while k others did: 10 s.
  public var writeStall: Duration
  /// A chunk is given up when it makes no progress for so long, whatever the others do: 30 s.
  public var writeLimit: Duration
  /// When reads are tried again that fewer than k chunks answered.
  public var retry: RetryPolicy
  /// What all of this is measured by.
  public var clock: any PauseClock

  /// Makes a configuration; every argument has the design's default.
  public init(
    hedgeFactor: Double = 3, hedgeFloor: Duration = .milliseconds(50), hedgeShare: Double = 0.05,
    hedgeBurst: Int = 8, readStall: Duration = .seconds(2), readLimit: Duration = .seconds(30),
    suspicion: Duration = .seconds(10), writeGrace: Duration = .seconds(2),
    writeGraceFactor: Int = 4, writeStall: Duration = .seconds(10),
    writeLimit: Duration = .seconds(30),
    retry: RetryPolicy = RetryPolicy(), clock: any PauseClock = SystemPauseClock()
  ) {
    self.hedgeFactor = hedgeFactor
    self.hedgeFloor = hedgeFloor
    self.hedgeShare = hedgeShare
    self.hedgeBurst = hedgeBurst
    self.readStall = readStall
    self.readLimit = readLimit
    self.suspicion = suspicion
    self.writeGrace = writeGrace
    self.writeGraceFactor = writeGraceFactor
    self.writeStall = writeStall
    self.writeLimit = writeLimit
    self.retry = retry
    self.clock = clock
  }
}
