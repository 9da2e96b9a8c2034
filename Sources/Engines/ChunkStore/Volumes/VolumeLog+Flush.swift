internal import Base
internal import Disk
internal import Runtime
internal import Synchronization
internal import Telemetry

/// One batch: laid out, written, synced, and only then known to the index.
extension VolumeLog {
  /// Owed delete records that a batch takes along.
  private static let owedPerBatch = 1024

  typealias CommitOutcome = Result<LogItem.Outcome, ChunkStoreError>

  /// Makes a batch durable. Only one call runs at a time.
  func flush(_ items: [LogItem]) -> [CommitOutcome] {
    do throws(ChunkStoreError) {
      try guardian.requireWritable()
      let isNeeded = items.contains { item in
        if case .barrier = item { false } else { true }
      }
      guard isNeeded || state.withLock({ !$0.owed.isEmpty || $0.writer?.isDirty == true }) else {
        return items.map { _ in .success(LogItem.Outcome()) }
      }
      return try write(items).map { .success($0) }
    } catch {
      return items.map { _ in .failure(error) }
    }
  }

  private func write(_ items: [LogItem]) throws(ChunkStoreError) -> [LogItem.Outcome] {
    // Room for the records that begin a volume and end a page.
    let owed = state.withLock { Array($0.owed.prefix(Self.owedPerBatch)) }
    let bound = items.reduce(2 * AlignedBuffer.alignment + owed.count * RecordHeader.length) {
      $0 + $1.maximumLength
    }
    let writer = try writer(forBatchOf: bound)
    let buffer = batchBuffer(bound)
    let batch = state.withLock { $0.nextBatch }
    var builder = BatchBuilder(
      buffer: buffer, store: store, volume: writer.number, base: writer.end, batch: batch)
    if writer.isNew { builder.start() }
    for record in owed where state.withLock({ $0.volumes[record.target.volume] != nil }) {
      builder.delete(record.id, target: record.target, changesIndex: false)
    }
    var outcomes: [LogItem.Outcome] = []
    for item in items { outcomes.append(lay(item, into: &builder)) }
    if builder.count == 0 {
      // What a failed write has left must not outlive an answer either.
      if writer.isDirty { try bury(writer) }
      state.withLock { $0.owed.removeFirst(owed.count) }
      return outcomes
    }
    let length = builder.finish()
    try append(buffer, length, to: writer)
    apply(builder.changes, writer: writer, length: length)
    state.withLock { $0.owed.removeFirst(owed.count) }
    return outcomes
  }

  /// Writes a batch at the end of a volume and makes it durable.
  private func append(
    _ buffer: AlignedBuffer, _ length: Int, to writer: Writer
  ) throws(ChunkStoreError) {
    do throws(DiskError) {
      try unsafe buffer.withBytes(0..<length) { bytes throws(DiskError) in
        try unsafe writer.handle.write([bytes], at: writer.end)
      }
      try writer.handle.syncData()
      if writer.isNew { try fileSystem.syncDirectory(layout.volumes) }
      if try writer.handle.status().linkCount == 0 {
        // Somebody removed the volume: its bytes are as good as lost.
        throw DiskError(.gone, .write, .volume)
      }
    } catch {
      // The next batch takes the place of this one, and outranks what is left of it.
      state.withLock { state in
        state.nextBatch += 1
        state.writer?.isDirty = true
      }
      throw guardian.failure(error)
    }
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
  private func writer(forBatchOf bound: Int) throws(ChunkStoreError) -> Writer {
    if let writer = state.withLock({ $0.writer }) {
      if writer.end + bound <= options.volumeSize || writer.isNew { return writer }
      // Nothing may follow, in another volume, what a failed write has left here.
      if writer.isDirty { try bury(writer) }
    }
    let number = state.withLock { state in
      state.writer = nil
      defer { state.nextVolume &+= 1 }
      return state.nextVolume
    }
    do {
      let handle = try fileSystem.open(
        layout.volume(number), FileMode(.create, isDirect: true))
      let writer = Writer(number: number, handle: handle, end: 0, isNew: true)
      state.withLock { $0.writer = writer }
      return writer
    } catch {
      throw guardian.failure(error)
    }
  }

  /// Puts an empty batch in the place of one whose write failed.
  private func bury(_ writer: Writer) throws(ChunkStoreError) {
    let buffer = batchBuffer(AlignedBuffer.alignment)
    var builder = BatchBuilder(
      buffer: buffer, store: store, volume: writer.number, base: writer.end,
      batch: state.withLock { $0.nextBatch })
    builder.fill()
    let length = builder.finish()
    try append(buffer, length, to: writer)
    apply([], writer: writer, length: length)
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

  private func apply(_ changes: [BatchBuilder.Change], writer: Writer, length: Int) {
    let isDue = state.withLock { state in
      state.nextBatch += 1
      state.unsavedBytes += length
      var writer = writer
      writer.end += length
      writer.isNew = false
      writer.isDirty = false
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
