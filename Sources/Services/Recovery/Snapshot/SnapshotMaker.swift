import Base
import Metadata
import ObjectEngine
import Runtime
import Sealing
import Synchronization
import Telemetry

/// Writes snapshots of the metadata into the stores and removes old ones.
///
/// One runs at a time in a process; two processes that do so at once make two snapshots.
struct SnapshotMaker: Sendable {
  let engine: ObjectEngine
  let metadata: SQLMetadataStore
  let configuration: RecoveryConfiguration
  let random: any RandomSource
  let log: Log

  /// Makes a snapshot with a number above `minimum`; returns it when all of it is durable.
  func make(log logID: [UInt8], minimum: UInt32) async throws -> StoredSnapshot {
    let floor = try await metadata.changeBarrier()
    let begun = try await metadata.beginSnapshot(minimum: minimum, log: logID, floor: floor)
    let channel = BoundedChannel<[UInt8]>(capacity: 4)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await dump(log: logID, floor: floor, into: channel) }
        do {
          try await store(begun, from: channel)
        } catch {
          _ = channel.close()
          throw error
        }
        try await group.waitForAll()
      }
    } catch {
      // What a process that ends here leaves, the next snapshot removes.
      try? await giveUp([begun.number])
      throw error
    }
    guard let made = try await metadata.snapshots().first(where: { $0.number == begun.number })
    else { throw MetadataError.notFound("snapshot") }
    log.info(
      "snapshot of the metadata made",
      [("number", "\(made.number)"), ("bytes", "\(made.bytes)")])
    return made
  }

  private func dump(
    log logID: [UInt8], floor: Int64, into channel: BoundedChannel<[UInt8]>
  ) async throws {
    let frames = Mutex(SnapshotFrames())
    do {
      try await metadata.dump(cluster: engine.clusterID, log: logID, floor: floor) { item in
        if let frame = frames.withLock({ $0.add(item) }) { try await channel.send(frame) }
      }
      if let rest = frames.withLock({ $0.take() }) { try await channel.send(rest) }
      channel.finish()
    } catch {
      channel.finish(throwing: error)
      throw error
    }
  }

  private func store(
    _ snapshot: StoredSnapshot, from channel: BoundedChannel<[UInt8]>
  ) async throws {
    let source = FrameSource(channel, partLength: configuration.snapshotPartLength)
    var part = 0
    repeat {
      // Until its row is there: a drain is to wait for what is placed by a former ring.
      let token = engine.writes.begin(at: engine.clock.now)
      defer { engine.writes.end(token) }
      guard let number = UInt16(exactly: part) else { throw EngineError.tooLarge(limit: 65_536) }
      let id = SystemExtentID.snapshot(number: snapshot.number, part: number)
        .id(random: UInt32(truncatingIfNeeded: random.next()))
      source.beginPart()
      let index = part
      let extent = try await engine.writeExtent(id, from: source) { size in
        descriptor(snapshot, part: index, isLast: source.isFinished, size: size)
      }
      CrashPoint.reach(.snapshotPartWritten)
      do {
        try await metadata.addSnapshotPart(
          extent, to: snapshot.number, isLast: source.isFinished)
      } catch MetadataError.unknownOutcome {
        throw MetadataError.unknownOutcome
      } catch {
        await engine.discardUnnamed([extent])
        throw error
      }
      part += 1
    } while !source.isFinished
  }

  private func descriptor(
    _ snapshot: StoredSnapshot, part: Int, isLast: Bool, size: Int64
  ) -> ExtentDescriptor {
    let label = SnapshotPartLabel(
      log: snapshot.log, floor: snapshot.floor, part: part, isLast: isLast,
      started: snapshot.started)
    var result = ExtentDescriptor(
      kind: .snapshot, bucketID: 0, bucketName: "", key: label.encoded, tenantID: 0, ownerID: 0,
      sequence: Int(snapshot.number), lastModified: engine.clock.now, byteCount: Int(size))
    result.partNumber = part
    return result
  }

  /// Gives up the snapshots of `numbers`, which this process has begun: whoever does the work by now,
  /// nobody else adds to them.
  func giveUp(_ numbers: [UInt32]) async throws {
    try await WorkLease.$current.withValue(nil) {
      for number in numbers {
        try await metadata.giveUpSnapshot(number)
        log.warning("a snapshot that was begun is given up", [("number", "\(number)")])
      }
    }
  }

  /// Removes unfinished snapshots below the newest complete one, and complete ones but the newest
  /// few, where those are complete.
  func removeOld() async throws {
    let all = try await metadata.snapshots()
    let complete = all.filter(\.isComplete)
    guard let newest = complete.last else { return }
    let kept = Set(complete.suffix(max(2, configuration.keptSnapshots)).map(\.number))
    for snapshot in all where snapshot.number < newest.number && !kept.contains(snapshot.number) {
      try await metadata.removeSnapshot(snapshot.number)
    }
  }
}

/// The frames of a snapshot as the content of extents: one after the other, each of whole frames.
///
/// Used by one task.
private final class FrameSource: ObjectSource, @unchecked Sendable {
  // `Sendable` so that the closure that describes a part may hold it; one task uses it at a time.
  private let channel: BoundedChannel<[UInt8]>
  private let partLength: Int
  private var current: [UInt8] = []
  private var position = 0
  private var inPart = 0
  private var next: [UInt8]?
  private var hasStarted = false

  init(_ channel: BoundedChannel<[UInt8]>, partLength: Int) {
    self.channel = channel
    self.partLength = partLength
  }

  /// Whether nothing follows what was read.
  var isFinished: Bool { hasStarted && next == nil && position == current.count }

  var expectedLength: Int64? { nil }

  func beginPart() { inPart = 0 }

  func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    if !hasStarted {
      next = try await channel.next()
      hasStarted = true
    }
    if position == current.count {
      guard let frame = next, inPart < partLength else { return 0 }
      (current, position) = (frame, 0)
      // One ahead, so that the last part knows that it is the last.
      next = try await channel.next()
    }
    let taken = min(count, current.count - position)
    buffer.copy(Array(current[position..<position + taken]), at: offset)
    position += taken
    inPart += taken
    return taken
  }
}
