import Base
public import Metadata
public import ObjectEngine
public import Runtime
import Synchronization
public import Telemetry

/// Keeps the writer of a gateway alive, tells the others its oldest read and the ring that its
/// writes go by, and begins a new writer when the former one was reclaimed.
public final class WriterKeeper: BackgroundWorker {
  /// What is taken off a lease, so that a commit that begins before its end also ends before it.
  static func margin(of length: Duration) -> Duration { min(.seconds(5), length / 6) }

  private struct Ring {
    /// The ring that new writes go by.
    var current: Int64
    /// The number of the last write that may go by a former one.
    var barrier: UInt64
    /// The ring that all writes go by.
    var acknowledged: Int64
  }

  /// `writer-lease`.
  public let name = "writer-lease"
  /// It must not wait for steps that read from stores which hang.
  public let isUrgent = true
  /// As soon as the database is back, this goes on, before the lease can run out for that.
  public var longestDelay: Duration { min(.seconds(2), length / 10) }
  private let engine: ObjectEngine
  private let metadata: any WriterLeaseStore
  private let length: Duration
  private let log: Log
  private let ring: Mutex<Ring>
  /// The newest read at each renewal since the oldest read began.
  private let marks = Mutex<[(time: Duration, newest: UInt64)]>([])
  /// When this was made: no read of the engine is older.
  private let began: Duration
  private let count = ProgressCell()
  private let seen = Mutex<WriterWitness?>(nil)

  /// Renews the lease of `engine`'s writer, `length` at a time.
  public init(
    engine: ObjectEngine, metadata: any WriterLeaseStore, length: Duration = .seconds(30),
    log: Log
  ) {
    self.engine = engine
    began = engine.writer.clock.now
    self.metadata = metadata
    self.length = length
    self.log = log.named("writer")
    ring = Mutex(Ring(current: 0, barrier: 0, acknowledged: 0))
  }

  /// Items are renewals.
  public var progress: WorkerProgress { count.value }

  /// Begins the writer of a gateway, whose leases last `length`; a worker of this kind keeps it.
  public static func begin(
    _ metadata: any WriterLeaseStore, minimum: UInt64 = 0, ringVersion: Int64, length: Duration,
    clock: any MonotonicClock = SystemMonotonicClock(), random: any RandomSource
  ) async throws -> WriterIdentity {
    let start = clock.now
    let lease = try await metadata.beginWriter(
      minimum: minimum, ringVersion: ringVersion, lease: length)
    return WriterIdentity(
      epoch: lease.epoch, until: end(from: start, length: length), clock: clock, random: random)
  }

  /// Until when an epoch may be used whose lease of `length` was asked for at `start`.
  public static func end(from start: Duration, length: Duration) -> Duration {
    start + length - margin(of: length)
  }

  /// The ring that all writes that still run were placed by.
  private func acknowledged() -> Int64 {
    // In this order: a write that is placed by a former ring has a number by then.
    let version = engine.stores.ringVersion
    let newest = engine.writes.newest
    return ring.withLock { ring in
      if ring.current != version { (ring.current, ring.barrier) = (version, newest) }
      if ring.acknowledged != version, engine.writes.haveEnded(through: ring.barrier) {
        ring.acknowledged = version
      }
      return ring.acknowledged
    }
  }

  /// How long the oldest running read has run at most. Told by numbers and the monotonic clock: the
  /// time of day may jump.
  private func readAge(at now: Duration) -> Duration? {
    let newest = engine.reads.newest
    let oldest = engine.reads.oldestNumber
    return marks.withLock { marks in
      defer { marks.append((now, newest)) }
      guard let oldest else {
        marks = []
        return nil
      }
      // The last mark that the read is not in: it began later.
      let before = marks.lastIndex { $0.newest < oldest }
      guard let before else { return now - began }
      marks.removeFirst(before)
      return now - marks[0].time
    }
  }

  /// What the database said at the last renewal: to be kept where a restore of the database does not
  /// reach it.
  public var witness: WriterWitness? { seen.withLock { $0 } }

  /// Whether the database was put back to an earlier state since the last renewal: then what it does
  /// not name may be what it does not know any more.
  func isTimelineOver() async throws -> Bool {
    guard let witness else { return false }
    return try await metadata.isBefore(witness)
  }

  /// Renews once.
  ///
  /// Where the database was put back to an earlier state meanwhile, nothing is written any more: what
  /// this process knows belongs to another timeline, and its next start begins a new one.
  public func step() async throws -> StepOutcome {
    let clock = engine.writer.clock
    let start = Mutex(clock.now)
    do {
      let renewed = try await metadata.renewWriter(
        WriterRenewal(
          length: length, ringVersion: acknowledged(), since: witness,
          // As late as may be: it may have waited for the database.
          begin: { start.withLock { $0 = clock.now } },
          readAge: { self.readAge(at: clock.now) }))
      guard let renewed else { return end() }
      engine.writer.extend(until: Self.end(from: start.withLock { $0 }, length: length))
      seen.withLock { $0 = renewed }
    } catch MetadataError.fenced {
      try await beginAgain()
      // What the former writer saw: the new one may have begun where it is not known any more.
      if try await isTimelineOver() { return end() }
      if let begun = try await metadata.writerWitness() { seen.withLock { $0 = begun } }
    }
    count.add(1, detail: "epoch \(engine.writer.epoch)")
    // The lease is counted from the start: what the database took goes off the pause.
    let elapsed = clock.now - start.withLock { $0 }
    return .idle(nextAfter: max(.zero, min(.seconds(10), length / 3) - elapsed))
  }

  private func end() -> StepOutcome {
    engine.writer.lose()
    count.add(0, detail: "the database was put back to an earlier state: restart this gateway")
    log.error(
      "the database was put back to an earlier state; nothing is written until a restart",
      [("epoch", "\(engine.writer.epoch)")])
    return .idle(nextAfter: .seconds(10))
  }

  /// What was begun under the former epoch fails at its commit; what begins from now on does not.
  private func beginAgain() async throws {
    engine.writer.lose()
    let start = engine.writer.clock.now
    let lease = try await metadata.beginWriter(
      minimum: engine.writer.epoch, ringVersion: engine.stores.ringVersion, lease: length)
    engine.writer.replace(epoch: lease.epoch, until: Self.end(from: start, length: length))
    log.warning(
      "this gateway was taken for dead and goes on as a new writer",
      [("epoch", "\(lease.epoch)")])
  }
}
