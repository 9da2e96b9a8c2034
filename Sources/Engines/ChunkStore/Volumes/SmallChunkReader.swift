internal import Base
internal import Disk
internal import Runtime
internal import Synchronization

/// Reads a chunk record. Compaction may move the record meanwhile: then it is looked up again.
final class SmallChunkReader: ChunkReader {
  /// An open record.
  private struct Place: Sendable {
    var entry: ChunkIndex.Entry
    var header: RecordHeader
    var trailer: ChunkTrailer
    var handle: any FileHandle

    var dataOffset: Int {
      entry.location.offset + RecordHeader.length + header.trailerLength
    }
  }

  /// How often a record that moves is looked up again.
  private static let attempts = 4
  /// What is read of a record at first: the trailer of an ordinary one.
  private static let firstRead = 2048

  let trailer: ChunkTrailer
  let header: ChunkHeader
  private let id: ChunkID
  private let volumes: VolumeLog
  private let place: Mutex<Place?>

  /// Opens the record of a chunk, nil when there is none.
  init?(_ id: ChunkID, volumes: VolumeLog, cluster: ClusterID) throws(ChunkStoreError) {
    guard let place = try Self.find(id, volumes: volumes) else { return nil }
    guard let scheme = place.header.scheme else { throw .corrupt("a record of no scheme") }
    self.id = id
    self.volumes = volumes
    trailer = place.trailer
    header = ChunkHeader(id: id, scheme: scheme, cluster: cluster)
    self.place = Mutex(place)
  }

  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    precondition(trailer.covers(range), "a range that checksums do not cover")
    guard !range.isEmpty else { return }
    for _ in 0..<Self.attempts {
      guard let place = self.place.withLock({ $0 }) else { throw .io("the chunk was closed") }
      if try read(range, of: place, into: buffer, at: offset) { return }
      guard let now = volumes.entry(id) else { throw .missing }
      if now.location == place.entry.location { break }
      guard let moved = try Self.find(id, volumes: volumes) else { throw .missing }
      guard moved.trailer == trailer else { throw .missing }
      self.place.withLock { if $0 != nil { $0 = moved } }
    }
    throw .corrupt("data does not match its checksum")
  }

  func close() {
    let closed = place.withLock { $0.take() }
    _ = closed
  }

  /// Reads a range; false when it is not what was written.
  private func read(
    _ range: Range<Int>, of place: Place, into buffer: AlignedBuffer, at offset: Int
  ) throws(ChunkStoreError) -> Bool {
    do throws(DiskError) {
      return try unsafe buffer.withMutableBytes(offset..<offset + range.count) {
        bytes throws(DiskError) in
        let count = try unsafe place.handle.read(
          into: bytes, at: place.dataOffset + range.lowerBound)
        return unsafe count == range.count
          && ChunkChecksum.matches(
            UnsafeRawBufferPointer(bytes), of: id,
            firstPiece: range.lowerBound / ChunkLimits.checksumSpan,
            table: trailer.blockChecksums)
      }
    } catch {
      throw volumes.guardian.failure(error)
    }
  }

  private static func find(_ id: ChunkID, volumes: VolumeLog) throws(ChunkStoreError) -> Place? {
    for attempt in 1...attempts {
      guard let entry = volumes.entry(id) else { return nil }
      do {
        return try open(id, entry, volumes)
      } catch {
        if let now = volumes.entry(id), now.location == entry.location || attempt == attempts {
          throw error
        }
      }
    }
    return nil
  }

  private static func open(
    _ id: ChunkID, _ entry: ChunkIndex.Entry, _ volumes: VolumeLog
  ) throws(ChunkStoreError) -> Place {
    do {
      let handle = try volumes.handles.open(entry.location.volume)
      var bytes = try read(handle, entry, count: min(firstRead, entry.recordLength))
      let header = try RecordHeader(
        decoding: Array(bytes.prefix(RecordHeader.length)), store: volumes.store,
        at: entry.location)
      guard header.kind == .chunk, header.id == id, header.recordLength == entry.recordLength
      else { throw FormatError("the record of another chunk") }
      let end = RecordHeader.length + header.trailerLength
      if end > bytes.count { bytes = try read(handle, entry, count: end) }
      let trailer = try ChunkTrailer(
        decoding: Array(bytes[RecordHeader.length..<end]), of: id)
      guard trailer.dataLength == header.dataLength else {
        throw FormatError("the record and its trailer differ in length")
      }
      return Place(entry: entry, header: header, trailer: trailer, handle: handle)
    } catch let error as DiskError {
      if error.code == .notFound { throw .corrupt("the volume of the chunk is missing") }
      throw volumes.guardian.failure(error)
    } catch let error as FormatError {
      throw .corrupt(error.message)
    } catch {
      throw .io("a volume cannot be read")
    }
  }

  private static func read(
    _ handle: any FileHandle, _ entry: ChunkIndex.Entry, count: Int
  ) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try unsafe bytes.withUnsafeMutableBytes { bytes throws(DiskError) in
      try unsafe handle.read(into: bytes, at: entry.location.offset)
    }
    guard got == count else { throw FormatError("the volume is cut off") }
    return bytes
  }
}
