internal import Base
internal import Disk
internal import Runtime
internal import Synchronization

/// Reads a chunk file, past the page cache where the file system lets it.
final class ChunkFileReader: ChunkReader {
  let trailer: ChunkTrailer
  private let id: ChunkID
  private let guardian: StoreGuard
  private let handle: Mutex<(any FileHandle)?>

  /// Opens the file of a chunk and reads its trailer.
  init(_ id: ChunkID, guardian: StoreGuard) throws(ChunkStoreError) {
    self.id = id
    self.guardian = guardian
    do {
      let handle = try guardian.fileSystem.open(
        guardian.layout.chunkFile(id), FileMode(.read, isDirect: true))
      trailer = try Self.readTrailer(handle, of: id)
      self.handle = Mutex(handle)
    } catch let error as DiskError {
      guard error.code == .notFound else { throw guardian.failure(error) }
      guardian.verifyPresence()
      try guardian.requireReadable()
      throw .missing
    } catch let error as FormatError {
      throw .corrupt(error.message)
    } catch {
      throw .io("a chunk file cannot be opened")
    }
  }

  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    precondition(trailer.covers(range), "a range that checksums do not cover")
    guard !range.isEmpty else { return }
    let handle = self.handle.withLock { $0 }
    guard let handle else { throw .io("the chunk was closed") }
    let length = ByteCount.roundUp(range.count, to: ChunkFileFormat.pageLength)
    let count: Int
    do throws(DiskError) {
      count = try unsafe buffer.withMutableBytes(offset..<offset + length) {
        bytes throws(DiskError) in
        try unsafe handle.read(
          into: bytes, at: ChunkFileFormat.pageLength + range.lowerBound)
      }
    } catch {
      throw guardian.failure(error)
    }
    guard count == length else { throw .corrupt("the chunk file is cut off") }
    let isRight = unsafe buffer.withBytes(offset..<offset + range.count) { bytes in
      unsafe ChunkChecksum.matches(
        bytes, of: id, firstPiece: range.lowerBound / ChunkLimits.checksumSpan,
        table: trailer.blockChecksums)
    }
    guard isRight else { throw .corrupt("data does not match its checksum") }
  }

  func close() {
    let closed = handle.withLock { $0.take() }
    _ = closed
  }

  /// What the start page says.
  func header() throws(ChunkStoreError) -> ChunkHeader {
    guard let handle = handle.withLock({ $0 }) else { throw .io("the chunk was closed") }
    do {
      let page = try Self.readPages(handle, 0..<ChunkFileFormat.pageLength)
      return try ChunkFileFormat.header(
        fromStartPage: page.bytes(0..<ChunkFileFormat.pageLength))
    } catch let error as DiskError {
      throw guardian.failure(error)
    } catch let error as FormatError {
      throw .corrupt(error.message)
    } catch {
      throw .io("a chunk file cannot be read")
    }
  }

  private static func readTrailer(_ handle: any FileHandle, of id: ChunkID) throws -> ChunkTrailer {
    let page = ChunkFileFormat.pageLength
    let size = try handle.status().size
    guard size >= 2 * page, size.isMultiple(of: page) else {
      throw FormatError("the chunk file is cut off")
    }
    // The last page usually has all of the trailer.
    let last = try readPages(handle, size - page..<size)
    let footer = last.bytes(page - ChunkFileFormat.footerLength..<page)
    let range = try ChunkFileFormat.trailerRange(footer: footer, fileLength: size)
    let held =
      range.lowerBound >= size - page
      ? last : try readPages(handle, range.lowerBound..<size)
    let trailer = try ChunkTrailer(decoding: held.bytes(0..<range.count), of: id)
    guard ChunkFileFormat.trailerOffset(dataLength: trailer.dataLength) == range.lowerBound else {
      throw FormatError("the trailer does not fit the length of the file")
    }
    return trailer
  }

  private static func readPages(_ handle: any FileHandle, _ range: Range<Int>) throws
    -> AlignedBuffer
  {
    let buffer = AlignedBuffer(count: range.count)
    let count = try unsafe buffer.withMutableBytes(0..<range.count) { bytes throws(DiskError) in
      try unsafe handle.read(into: bytes, at: range.lowerBound)
    }
    guard count == range.count else { throw FormatError("the chunk file is cut off") }
    return buffer
  }
}
