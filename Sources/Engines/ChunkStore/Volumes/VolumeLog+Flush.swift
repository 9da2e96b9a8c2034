internal import Base
internal import Synchronization
internal import Telemetry
internal import Disk
internal import Runtime

/// One batch: laid out, written, synced, and only then known to the index.
extension VolumeLog {
  typealias CommitOutcome = Result<LogItem.Outcome, ChunkStoreError>

  /// Makes a batch durable. Only one call runs at a time.
  func flush(_ items: [LogItem]) -> [CommitOutcome] {
    do throws(ChunkStoreError) {
      try guardian.requireWritable()
      let isNeeded = items.contains { item in
        if case .barrier = item { false } else { true }
      }
      guard isNeeded else { return items.map { _ in .success(LogItem.Outcome()) } }
      return try write(items).map { .success($0) }
    } catch {
      return items.map { _ in .failure(error) }
    }
  }

  private func write(_ items: [LogItem]) throws(ChunkStoreError) -> [LogItem.Outcome] {
    // Room for the records that begin a volume and end a page.
    let bound = items.reduce(2 * AlignedBuffer.alignment) { $0 + $1.maximumLength }
    let (writer, isNew) = try writer(forBatchOf: bound)
    let buffer = batchBuffer(bound)
    let batch = state.withLock { $0.nextBatch }
    var builder = BatchBuilder(
      buffer: buffer, store: store, volume: writer.number, base: writer.end, batch: batch)
    if isNew { builder.start() }
    var outcomes: [LogItem.Outcome] = []
    for item in items { outcomes.append(lay(item, into: &builder)) }
    if builder.count == 0 { return outcomes }
    let length = builder.finish()
    do throws(DiskError) {
      try unsafe buffer.withBytes(0..<length) { bytes throws(DiskError) in
        try unsafe writer.handle.write([bytes], at: writer.end)
      }
      try writer.handle.syncData()
      if isNew { try fileSystem.syncDirectory(layout.volumes) }
      if try writer.handle.status().linkCount == 0 {
        // Somebody removed the volume: its bytes are as good as lost.
        throw DiskError(.gone, .write, .volume)
      }
    } catch {
      abandon(writer, isNew: isNew)
      throw guardian.failure(error)
    }
    apply(builder.changes, writer: writer, length: length)
    return outcomes
  }

  /// Lays an item out according to the index before the batch.
  private func lay(_ item: LogItem, into builder: inout BatchBuilder) -> LogItem.Outcome {
    var outcome = LogItem.Outcome()
    switch item {
    case .barrier: break
    case .put(let record):
      let old = entry(record.header.id)
      builder.put(record)
      if let old {
        // In this order: what replaces a chunk is there before the chunk is undone.
        builder.delete(record.header.id, target: old.location, changesIndex: false)
        outcome.freed.append(old)
      }
    case .delete(let ids):
      for id in ids {
        guard let old = entry(id) else { continue }
        builder.delete(id, target: old.location)
        outcome.freed.append(old)
      }
    case .rewrite(let records):
      for record in records where isStillNeeded(record) { builder.rewrite(record) }
    }
    return outcome
  }

  private func isStillNeeded(_ record: RewrittenRecord) -> Bool {
    if let target = record.header.target {
      return state.withLock { $0.volumes[target.volume] != nil }
    }
    return entry(record.header.id)?.location == record.source
  }

  /// The volume that takes a batch of at most `bound` bytes.
  private func writer(
    forBatchOf bound: Int
  ) throws(ChunkStoreError) -> (writer: Writer, isNew: Bool) {
    let (current, number) = state.withLock { state -> (Writer?, UInt32) in
      if let writer = state.writer, writer.end + bound <= options.volumeSize {
        return (writer, 0)
      }
      state.writer = nil
      let number = state.nextVolume
      state.nextVolume &+= 1
      return (nil, number)
    }
    if let current { return (current, false) }
    do {
      let handle = try fileSystem.open(
        layout.volume(number), FileMode(.create, isDirect: true))
      return (Writer(number: number, handle: handle, end: 0), true)
    } catch {
      throw guardian.failure(error)
    }
  }

  private func batchBuffer(_ bound: Int) -> AlignedBuffer {
    if let buffer = state.withLock({ $0.buffer }), buffer.count >= bound { return buffer }
    let kept = state.withLock { $0.buffer?.count ?? 0 }
    let buffer = AlignedBuffer(
      count: max(bound, min(max(kept * 2, 128 * ByteCount.kibibyte), options.batchSize)))
    // An unusually large batch does not keep its memory.
    if buffer.count <= options.batchSize * 2 { state.withLock { $0.buffer = buffer } }
    return buffer
  }

  /// Nothing more is appended behind bytes of unknown state: the volume ends where it was.
  private func abandon(_ writer: Writer, isNew: Bool) {
    state.withLock { $0.writer = nil }
    // A volume that never had a record is of no use.
    if isNew { try? fileSystem.delete(layout.volume(writer.number)) }
  }

  private func apply(_ changes: [BatchBuilder.Change], writer: Writer, length: Int) {
    let isDue = state.withLock { state in
      state.nextBatch += 1
      state.unsavedBytes += length
      var writer = writer
      writer.end += length
      state.writer = writer
      state.volumes[writer.number, default: Volume(end: 0)].end = writer.end
      state.volumes[writer.number]?.lastBatch = writer.end - length
      for change in changes {
        switch change {
        case .set(let id, let entry): state.set(id, entry)
        case .remove(let id, let target): state.remove(id, at: target)
        }
      }
      return isMaintenanceDue(state)
    }
    if isDue { bell.ring() }
  }
}

extension VolumeLog.State {
  /// Makes a record the live one of its chunk; returns the one that was.
  @discardableResult
  mutating func set(_ id: ChunkID, _ entry: ChunkIndex.Entry) -> ChunkIndex.Entry? {
    let old = index.set(id, entry)
    if let old {
      volumes[old.location.volume]?.live -= old.recordLength
      freedBytes += old.recordLength
    }
    volumes[entry.location.volume, default: VolumeLog.Volume(end: 0)].live += entry.recordLength
    return old
  }

  /// Forgets a chunk if the record at `target` is its live one.
  mutating func remove(_ id: ChunkID, at target: RecordLocation) {
    guard let old = index[id], old.location == target else { return }
    index.remove(id)
    volumes[target.volume]?.live -= old.recordLength
    freedBytes += old.recordLength
  }
}
