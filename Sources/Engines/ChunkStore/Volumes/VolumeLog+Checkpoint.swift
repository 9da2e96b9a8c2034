internal import Base
internal import Disk
internal import ISAL
internal import Runtime
internal import Synchronization
internal import Telemetry

/// The index on disk, so that opening a store need not read its volumes.
///
/// Format 1, little-endian: magic u64 · format u32 · words of a slot u32 · store id (16) · position:
/// volume u32, 0 u32, offset u64 · next batch u64 · 0 u64; then the taken slots; zeros; and the last
/// 32 bytes of the last page: magic u64 · slots u64 · CRC32C u32 of header and slots · 0 u64 · CRC32C
/// u32 of the footer before.
///
/// All volumes below the position's, and that one up to the offset, are in the index. It may also
/// know some of what follows: reading that once more makes no difference.
extension VolumeLog {
  struct Checkpoint: Sendable {
    var position: RecordLocation
  }

  /// "S3INDEX1".
  static let indexMagic: UInt64 = 0x3158_4544_4e49_3353
  /// "S3IXEND1".
  static let indexFooterMagic: UInt64 = 0x3144_4e45_5849_3353
  static let indexFormat: UInt32 = 1
  static let indexHeaderLength = 64
  static let indexFooterLength = 32
  private static let slotLength = 4 * ChunkIndex.slotWords
  /// Bytes that are read or written at a time; whole pages and whole slots.
  private static let pieceLength = 4096 * slotLength

  /// Writes a checkpoint if enough has happened since the last, or in any case if `always`.
  func checkpoint(always: Bool) async throws(ChunkStoreError) {
    try await maintenance.pass { () async throws(ChunkStoreError) in
      let isDue = state.withLock { isCheckpointDue($0) || (always && $0.unsavedBytes > 0) }
      guard isDue else { return }
      try guardian.requireWritable()
      // A checkpoint would hide from the next open what is owed.
      while state.withLock({ !$0.owed.isEmpty }) { _ = try await submit(.barrier) }
      do throws(DiskError) { try saveCheckpoint() } catch { throw guardian.failure(error) }
    }
  }

  private func saveCheckpoint() throws(DiskError) {
    let (position, batch, unsaved) = state.withLock { state in
      let place = state.writer.map { RecordLocation(volume: $0.number, offset: $0.end) }
      return (
        place ?? RecordLocation(volume: state.nextVolume, offset: 0), state.nextBatch,
        state.unsavedBytes
      )
    }
    do {
      try fileSystem.delete(layout.newIndex)
    } catch {
      guard error.code == .notFound else { throw error }
    }
    let handle = try fileSystem.open(layout.newIndex, FileMode(.create, isDirect: true))
    var output = PageOutput(handle: handle, length: Self.pieceLength)
    try output.write(indexHeader(position: position, batch: batch))
    var count = 0
    for shard in 0..<ChunkIndex.shardCount {
      let slots = state.withLock { $0.index.slots(inShard: shard) }
      count += slots.count / Self.slotLength
      try output.write(slots)
    }
    let length = try output.finish { checksum in
      Self.indexFooter(count: count, checksum: checksum)
    }
    try handle.syncData()
    try fileSystem.rename(layout.newIndex, to: layout.index)
    try fileSystem.syncDirectory(layout.volumes)
    state.withLock { state in
      state.unsavedBytes -= unsaved
      state.checkpointLength = length
    }
  }

  private func indexHeader(position: RecordLocation, batch: UInt64) -> [UInt8] {
    var writer = ByteWriter(capacity: Self.indexHeaderLength)
    writer.write(Self.indexMagic)
    writer.write(Self.indexFormat)
    writer.write(UInt32(ChunkIndex.slotWords))
    writer.write(store.bytes)
    writer.write(position.volume)
    writer.write(UInt32(0))
    writer.write(UInt64(position.offset))
    writer.write(batch)
    writer.write(UInt64(0))
    return writer.bytes
  }

  private static func indexFooter(count: Int, checksum: UInt32) -> [UInt8] {
    var writer = ByteWriter(capacity: indexFooterLength)
    writer.write(indexFooterMagic)
    writer.write(UInt64(count))
    writer.write(checksum)
    writer.write(UInt64(0))
    writer.write(CRC32C.crc(writer.bytes))
    return writer.bytes
  }

  /// Fills the index from the checkpoint; nil, and nothing filled, when there is none of this
  /// store or it is damaged: then the volumes are read from the start.
  func loadCheckpoint(existing: Set<UInt32>) -> Checkpoint? {
    do {
      let handle = try fileSystem.open(layout.index, FileMode(.read))
      return try loadCheckpoint(handle, existing: existing)
    } catch let error as DiskError {
      if error.code != .notFound {
        log.warning("no checkpoint: reading all volumes", [("reason", "\(error)")])
      }
    } catch {
      log.warning("bad checkpoint: reading all volumes", [("reason", "\(error)")])
    }
    return nil
  }

  private func loadCheckpoint(
    _ handle: any FileHandle, existing: Set<UInt32>
  ) throws -> Checkpoint {
    let size = try handle.status().size
    let count = try slotCount(handle, size: size)
    let buffer = AlignedBuffer(count: Self.pieceLength)
    func read(_ count: Int, at offset: Int) throws {
      let got = try unsafe buffer.withMutableBytes(0..<count) { bytes throws(DiskError) in
        try unsafe handle.read(into: bytes, at: offset)
      }
      guard got == count else { throw FormatError("the index is cut off") }
    }
    try read(Self.indexHeaderLength, at: 0)
    let header = buffer.bytes(0..<Self.indexHeaderLength)
    let (position, batch) = try parseIndexHeader(header)
    var checksum = CRC32C.crc(header)
    var index = ChunkIndex()
    var live: [UInt32: Int] = [:]
    var offset = Self.indexHeaderLength
    let end = offset + count * Self.slotLength
    var lost = 0
    while offset < end {
      let length = min(Self.pieceLength, end - offset)
      try read(length, at: offset)
      let piece = buffer.bytes(0..<length)
      checksum = CRC32C.crc(piece, after: checksum)
      for start in stride(from: 0, to: length, by: Self.slotLength) {
        let (id, entry) = try ChunkIndex.decode(piece[start..<start + Self.slotLength])
        guard existing.contains(entry.location.volume) else {
          lost += 1
          continue
        }
        live[entry.location.volume, default: 0] += entry.recordLength
        if index.set(id, entry) != nil { throw FormatError("a chunk is twice in the index") }
      }
      offset += length
    }
    try checkIndexChecksum(handle, size: size, checksum)
    if lost > 0 { log.warning("chunks of missing volumes", [("count", "\(lost)")]) }
    state.withLock { state in
      state.index = index
      for (volume, bytes) in live { state.volumes[volume] = Volume(end: 0, live: bytes) }
      state.nextBatch = batch
      state.checkpointLength = size
    }
    return Checkpoint(position: position)
  }

  private func footer(_ handle: any FileHandle, size: Int) throws -> ByteReader {
    guard size >= 4096, size.isMultiple(of: 4096) else { throw FormatError("the index is cut off") }
    var bytes = [UInt8](repeating: 0, count: Self.indexFooterLength)
    let got = try unsafe bytes.withUnsafeMutableBytes { bytes throws(DiskError) in
      try unsafe handle.read(into: bytes, at: size - Self.indexFooterLength)
    }
    var end = ByteReader(bytes, in: Self.indexFooterLength - 4..<Self.indexFooterLength)
    guard got == bytes.count,
      try end.readInteger(UInt32.self) == CRC32C.crc(Array(bytes.dropLast(4)))
    else { throw FormatError("the index has no footer") }
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt64.self) == Self.indexFooterMagic else {
      throw FormatError("the index has no footer")
    }
    return reader
  }

  private func slotCount(_ handle: any FileHandle, size: Int) throws -> Int {
    var reader = try footer(handle, size: size)
    let room = size - Self.indexHeaderLength - Self.indexFooterLength
    guard let count = Int(exactly: try reader.readInteger(UInt64.self)),
      count <= room / Self.slotLength
    else { throw FormatError("the index claims more slots than it has") }
    return count
  }

  private func checkIndexChecksum(
    _ handle: any FileHandle, size: Int, _ checksum: UInt32
  ) throws {
    var reader = try footer(handle, size: size)
    _ = try reader.readInteger(UInt64.self)
    guard try reader.readInteger(UInt32.self) == checksum else {
      throw FormatError("the index does not match its checksum")
    }
  }

  private func parseIndexHeader(
    _ bytes: [UInt8]
  ) throws(FormatError) -> (position: RecordLocation, batch: UInt64) {
    var reader = ByteReader(bytes)
    guard try reader.readInteger(UInt64.self) == Self.indexMagic,
      try reader.readInteger(UInt32.self) == Self.indexFormat,
      try reader.readInteger(UInt32.self) == UInt32(ChunkIndex.slotWords)
    else { throw FormatError("no index of format 1") }
    guard StoreID(bytes: try reader.read(16)) == store else {
      throw FormatError("the index of another store")
    }
    let volume = try reader.readInteger(UInt32.self)
    _ = try reader.readInteger(UInt32.self)
    guard let offset = Int(exactly: try reader.readInteger(UInt64.self)),
      offset.isMultiple(of: 4096), volume < UInt32.max
    else { throw FormatError("the index ends at an impossible place") }
    return (RecordLocation(volume: volume, offset: offset), try reader.readInteger())
  }
}
