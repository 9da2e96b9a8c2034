internal import Base
internal import Disk
internal import Runtime
internal import Synchronization
internal import Telemetry

/// Housekeeping: holes for dead records, and fewer volumes for the live ones.
extension VolumeLog {
  func isMaintenanceDue(_ state: State) -> Bool {
    isCheckpointDue(state) || state.freedBytes >= options.volumeSize / 16
  }

  func isCheckpointDue(_ state: State) -> Bool {
    // A large index is written less often: reading the volumes again costs less than that.
    state.unsavedBytes >= max(options.checkpointInterval, 2 * state.checkpointLength)
  }

  /// Whether what is dead is worth more than an even pace: little more than a volume is free.
  var isShortOfSpace: Bool { (try? guardian.requireSpace(options.volumeSize)) == nil }

  /// Remembers records that are dead; housekeeping gives their pages back to the file system.
  func release(_ records: [ChunkIndex.Entry]) {
    guard !records.isEmpty else { return }
    state.withLock { state in
      for record in records {
        let start = record.location.offset
        state.dead.add(start..<start + record.recordLength, of: record.location.volume)
      }
    }
    if isShortOfSpace { bell.ring() }
  }

  /// Makes holes of the whole pages of some dead records, where the file system can; returns false
  /// when there are none to be made.
  ///
  /// None in the volume that is being written, whose next syncs would have to make them durable
  /// too, unless nothing was written since the step before; none in one that is about to go as a
  /// whole. All where space is short.
  private func punchStep() -> Bool {
    let isShort = isShortOfSpace
    let found = state.withLock { state -> (volume: UInt32, ranges: [Range<Int>])? in
      let isQuiet = state.nextBatchSeen == state.nextBatch
      state.nextBatchSeen = state.nextBatch
      for number in state.dead.volumes {
        guard let volume = state.volumes[number] else {
          state.dead.forget(number)
          continue
        }
        let isWritten = number == state.writer?.number
        guard isShort || (isWritten ? isQuiet : !isWorthCompacting(number, volume, state)) else {
          continue
        }
        let ranges = state.dead.take(Self.holesPerStep, of: number, endingBy: volume.settledEnd)
        if !ranges.isEmpty { return (number, ranges) }
      }
      return nil
    }
    guard let found else { return false }
    // Nothing depends on it: compaction gets what stays behind.
    guard let handle = try? handles.open(found.volume) else { return true }
    for range in found.ranges {
      let start = ByteCount.roundUp(range.lowerBound, to: AlignedBuffer.alignment)
      let end = range.upperBound / AlignedBuffer.alignment * AlignedBuffer.alignment
      guard start < end else { continue }
      do {
        try handle.punchHole(start..<end)
      } catch {
        if error.code == .unsupported { state.withLock { $0.dead = DeadRanges() } }
      }
    }
    return true
  }

  /// Makes some holes; where there are none to be made, looks at a bounded part of a volume that
  /// holds little, and copies what lives elsewhere. Returns false when there is no such volume.
  func compactStep() async throws(ChunkStoreError) -> Bool {
    try await maintenance.pass { () async throws(ChunkStoreError) -> Bool in
      try guardian.requireWritable()
      if punchStep() { return true }
      guard var cursor = try nextCompaction() else { return false }
      let limit = cursor.offset + options.compactionStep
      while cursor.offset < limit {
        let part: CompactionPart
        do throws(DiskError) {
          part = try collect(from: cursor, limit: limit)
        } catch {
          throw guardian.failure(error)
        }
        if !part.records.isEmpty {
          _ = try await submit(.rewrite(part.records))
          CrashPoint.reach(.compactionRewritten)
        }
        if part.isLast {
          do throws(DiskError) {
            try retire(cursor.volume)
          } catch {
            throw guardian.failure(error)
          }
          return true
        }
        cursor.offset = part.end
        state.withLock { $0.compaction = cursor }
      }
      return true
    }
  }

  private struct CompactionPart {
    var records: [RewrittenRecord] = []
    var end: Int
    var isLast = false
  }

  /// Where compaction goes on, or a volume that is worth it.
  private func nextCompaction() throws(ChunkStoreError) -> RecordLocation? {
    if let cursor = state.withLock({ $0.compaction }) { return cursor }
    while true {
      let candidate = state.withLock { state -> UInt32? in
        state.freedBytes = 0
        return state.volumes.filter { isWorthCompacting($0, $1, state) }
          .min { ($0.value.live, $0.key) < ($1.value.live, $1.key) }?.key
      }
      guard let candidate else { return nil }
      do {
        guard try isOurs(candidate) else {
          // A file that is not what its name says is not ours to delete.
          log.warning("a volume does not begin like one", [("volume", "\(candidate)")])
          state.withLock { $0.volumes[candidate]?.isPinned = true }
          continue
        }
        try settle(candidate)
      } catch {
        throw guardian.failure(error)
      }
      let cursor = RecordLocation(volume: candidate, offset: 0)
      state.withLock { $0.compaction = cursor }
      return cursor
    }
  }

  private func isWorthCompacting(_ number: UInt32, _ volume: Volume, _ state: State) -> Bool {
    guard number != state.writer?.number, !volume.isPinned else { return false }
    return volume.end < options.volumeSize / 64
      || Double(volume.live) < Double(volume.end) * options.compactionThreshold
  }

  private func isOurs(_ number: UInt32) throws(DiskError) -> Bool {
    var scanner = VolumeScanner(
      handle: try handles.open(number), store: store, volume: number, from: 0,
      to: RecordHeader.length)
    return try scanner.next()?.header.kind == .start
  }

  /// The records that must not go with the volume, at most about a quarter of a batch of them.
  private func collect(
    from start: RecordLocation, limit: Int
  ) throws(DiskError) -> CompactionPart {
    let volume = start.volume
    var scanner = VolumeScanner(
      handle: try handles.open(volume), store: store, volume: volume, from: start.offset,
      to: state.withLock { $0.volumes[volume]?.end ?? 0 })
    var part = CompactionPart(end: start.offset)
    var length = 0
    while length < options.batchSize / 4, scanner.position < limit {
      guard let found = try scanner.next() else {
        part.isLast = true
        break
      }
      let location = RecordLocation(volume: volume, offset: found.offset)
      guard isNeeded(found.header, at: location) else { continue }
      let body = found.header.kind == .chunk ? try scanner.body(of: found) : []
      guard body.count == found.header.recordLength - RecordHeader.length else { continue }
      part.records.append(
        RewrittenRecord(header: found.header, source: location, body: body))
      length += found.header.recordLength
    }
    part.end = scanner.position
    return part
  }

  /// Whether a record of a volume that is about to go still says something.
  private func isNeeded(_ header: RecordHeader, at location: RecordLocation) -> Bool {
    switch header.kind {
    case .chunk:
      return entry(header.id)?.location == location
    case .delete:
      guard let target = header.target, target.volume != location.volume else { return false }
      return state.withLock { $0.volumes[target.volume] != nil }
    case .start, .pad:
      return false
    }
  }

  /// Removes a volume that nothing live is left in.
  private func retire(_ number: UInt32) throws(DiskError) {
    let isEmpty = state.withLock { state in
      state.compaction = nil
      guard let volume = state.volumes[number], volume.live == 0 else {
        state.volumes[number]?.isPinned = true
        return false
      }
      return true
    }
    guard isEmpty else {
      log.warning("a volume keeps records that cannot be moved", [("volume", "\(number)")])
      return
    }
    do {
      try fileSystem.delete(layout.volume(number))
    } catch {
      // Gone already: it had nothing that lives.
      guard error.code == .notFound else { throw error }
    }
    CrashPoint.reach(.compactionVolumeDeleted)
    try fileSystem.syncDirectory(layout.volumes)
    CrashPoint.reach(.compactionRetired)
    // Only now may the delete records that name it be dropped.
    state.withLock { state in
      state.volumes[number] = nil
      state.dead.forget(number)
    }
    handles.forget(number)
  }
}
