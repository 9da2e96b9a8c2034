internal import Base
internal import Disk
internal import Synchronization
internal import Telemetry

/// Makes the index of what the volumes say.
extension VolumeLog {
  /// Chunk records that were superseded and have no delete record as far as was seen.
  typealias Superseded = [RecordLocation: ChunkID]

  /// Reads the checkpoint and everything behind it. Called once, before anything else.
  func recover() throws(DiskError) {
    let numbers = try fileSystem.list(layout.volumes).compactMap { entry in
      entry.isDirectory ? nil : StoreLayout.volumeNumber(ofFile: entry.name)
    }.sorted()
    let checkpoint = loadCheckpoint(existing: Set(numbers))
    let position = checkpoint?.position ?? RecordLocation(volume: 0, offset: 0)
    var superseded: Superseded = [:]
    var touched: [any FileHandle] = []
    var isContinued: Writer?
    for number in numbers {
      let size = try fileSystem.status(layout.volume(number)).size
      if size == 0 {
        try? fileSystem.delete(layout.volume(number))
        continue
      }
      state.withLock { $0.volumes[number, default: Volume(end: 0)].end = pageEnd(size) }
      guard number >= position.volume else { continue }
      let start = number == position.volume ? position.offset : 0
      let handle = try handles.open(number)
      let found = try replay(number, handle, from: start, size: size, &superseded)
      if found { touched.append(handle) }
      if !found, number == numbers.last, start == size, start > 0, start < options.volumeSize {
        let handle = try fileSystem.open(
          layout.volume(number), FileMode(.write, isDirect: true))
        isContinued = Writer(number: number, handle: handle, end: start)
      }
    }
    // What was read may never have been synced: it must not be answered for before it is.
    for handle in touched { try handle.syncData() }
    try fileSystem.syncDirectory(layout.volumes)
    state.withLock { state in
      state.writer = isContinued
      state.nextVolume = max(state.nextVolume, (numbers.last ?? 0) + 1, position.volume + 1)
    }
    undo(superseded)
  }

  private func pageEnd(_ size: Int) -> Int { size / 4096 * 4096 }

  /// Applies the records of one volume from an offset on; returns whether there were any.
  private func replay(
    _ volume: UInt32, _ handle: any FileHandle, from start: Int, size: Int,
    _ superseded: inout Superseded
  ) throws(DiskError) -> Bool {
    var scanner = VolumeScanner(
      handle: handle, store: store, volume: volume, from: start, to: size)
    var held: [VolumeScanner.Found] = []
    var foundAny = false
    while let found = try scanner.next() {
      foundAny = true
      if Self.proves(found, held) {
        apply(held, volume: volume, &superseded)
        held = []
      }
      held.append(found)
    }
    let whole = try close(held, volume: volume, &scanner)
    apply(whole, volume: volume, &superseded)
    return foundAny
  }

  /// Whether a record shows that those before it were synced: a batch is begun only then.
  ///
  /// Where a write failed, the next batch takes its place, with a higher number: of the failed one
  /// only records that are not the first of a batch can be left, behind the last batch.
  private static func proves(
    _ found: VolumeScanner.Found, _ held: [VolumeScanner.Found]
  ) -> Bool {
    guard found.header.isFirst else { return false }
    return held.first.map { $0.header.batch < found.header.batch } ?? false
  }

  /// Notes where the last batch of a volume lies and ends; returns the records of it that count.
  private func close(
    _ batch: [VolumeScanner.Found], volume: UInt32, _ scanner: inout VolumeScanner
  ) throws(DiskError) -> [VolumeScanner.Found] {
    guard let first = batch.first else { return [] }
    let whole = try intact(batch, &scanner)
    let end = whole.last?.end ?? first.offset
    state.withLock { state in
      state.volumes[volume]?.lastBatch = first.offset
      // Compaction must not take for records what was dropped.
      if whole.count < batch.count { state.volumes[volume]?.end = end }
    }
    if whole.count < batch.count {
      log.warning(
        "a batch was not complete when the store stopped",
        [("volume", "\(volume)"), ("records", "\(batch.count - whole.count)")])
    }
    return whole
  }

  /// Finds out where the last batch of a volume lies and what of it counts, unless that is known:
  /// a volume that a checkpoint covers is not read when the store is opened.
  func settle(_ volume: UInt32) throws(DiskError) {
    let known = state.withLock { $0.volumes[volume] }
    guard let known, known.lastBatch == nil else { return }
    // Headers prove their own place, so that reading may begin anywhere.
    let start = max(0, known.end - 2 * Self.maximumBatchLength) / 4096 * 4096
    var scanner = VolumeScanner(
      handle: try handles.open(volume), store: store, volume: volume, from: start, to: known.end)
    var held: [VolumeScanner.Found] = []
    while let found = try scanner.next() {
      if Self.proves(found, held) { held = [] }
      held.append(found)
    }
    _ = try close(held, volume: volume, &scanner)
  }

  /// The records of the last batch of a volume up to the first that did not reach the disk whole.
  ///
  /// What follows it is dropped as well: it may undo what the lost record was to replace.
  private func intact(
    _ batch: [VolumeScanner.Found], _ scanner: inout VolumeScanner
  ) throws(DiskError) -> [VolumeScanner.Found] {
    guard let first = batch.first, first.header.isFirst else { return [] }
    var result: [VolumeScanner.Found] = []
    for found in batch {
      guard found.header.batch == first.header.batch,
        !found.followsGap || found.offset == first.offset
      else { break }
      if found.header.kind == .chunk {
        guard isIntact(found.header, body: try scanner.body(of: found)) else { break }
      }
      result.append(found)
    }
    return result
  }

  private func isIntact(_ header: RecordHeader, body: [UInt8]) -> Bool {
    guard body.count >= header.trailerLength + header.dataLength,
      let trailer = try? ChunkTrailer(
        decoding: Array(body[..<header.trailerLength]), of: header.id),
      trailer.dataLength == header.dataLength
    else { return false }
    let data = body[header.trailerLength..<header.trailerLength + header.dataLength]
    return unsafe data.withUnsafeBytes { bytes in
      unsafe ChunkChecksum.matches(
        bytes, of: header.id, firstPiece: 0, table: trailer.blockChecksums)
    }
  }

  private func apply(
    _ records: [VolumeScanner.Found], volume: UInt32, _ superseded: inout Superseded
  ) {
    state.withLock { state in
      for found in records {
        state.nextBatch = max(state.nextBatch, found.header.batch &+ 1)
        state.unsavedBytes += found.header.recordLength
        let location = RecordLocation(volume: volume, offset: found.offset)
        switch found.header.kind {
        case .chunk:
          let entry = ChunkIndex.Entry(
            location: location, recordLength: found.header.recordLength)
          if let old = state.set(found.header.id, entry), old.location != location {
            superseded[old.location] = found.header.id
          }
        case .delete:
          guard let target = found.header.target else { continue }
          superseded[target] = nil
          state.remove(found.header.id, at: target)
        case .start, .pad: break
        }
      }
    }
  }

  /// Writes the delete records that a torn batch has left out; those that cannot be written now
  /// stay owed.
  private func undo(_ superseded: Superseded) {
    let ordered = superseded.sorted {
      ($0.key.volume, $0.key.offset) < ($1.key.volume, $1.key.offset)
    }
    // A checkpoint may be newer than the records read behind it: then this is the live one.
    let owed = ordered.filter { entry($0.value)?.location != $0.key }
      .map { LogItem.Owed(id: $0.value, target: $0.key) }
    state.withLock { $0.owed = owed }
    if case .failure(let error)? = payOwed() {
      log.warning("superseded records stay for now", [("reason", "\(error)")])
    }
  }

  /// Writes batches until nothing is owed; called only while nothing else is flushed.
  private func payOwed() -> CommitOutcome? {
    while state.withLock({ !$0.owed.isEmpty }) {
      if case .failure(let error)? = flush([.barrier]).first { return .failure(error) }
    }
    return nil
  }
}
