internal import Base
internal import Disk
internal import Runtime
internal import Synchronization

/// Writes a chunk file. The file has no name that anybody looks for until it is complete and
/// synced.
final class ChunkFileWriter: ChunkWriter {
  private enum Phase {
    case open
    case failed
    case ended
  }

  private struct State {
    var phase = Phase.open
    /// Bytes of data that were appended.
    var count = 0
    /// The bytes behind the last whole page.
    var tail: [UInt8] = []
    var handle: (any FileHandle)?
  }

  private let header: ChunkHeader
  private let name: String
  private let files: ChunkFiles
  private let published: @Sendable () async throws(ChunkStoreError) -> Void
  private let state: Mutex<State>

  /// `published` runs when the chunk is durable, before `finish` returns.
  init(
    header: ChunkHeader, files: ChunkFiles,
    published: @escaping @Sendable () async throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    self.header = header
    self.files = files
    self.published = published
    do throws(DiskError) {
      let file = try files.create(header.id)
      name = file.name
      state = Mutex(State(handle: file.handle))
    } catch {
      throw files.guardian.failure(error)
    }
  }

  deinit {
    // The sweep finds the file.
    files.forget(name)
  }

  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
    let (handle, offset) = try begin()
    let parts = try add(ChunkPart(buffer, range), at: offset)
    if !parts.isEmpty { try write(parts, to: handle, at: offset == 0 ? 0 : Self.place(offset)) }
  }

  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
    try await finish(trailer, appending: [])
  }

  func finish(
    _ trailer: ChunkTrailer, appending parts: [ChunkPart]
  ) async throws(ChunkStoreError) {
    let (handle, offset) = try begin()
    var written: [ChunkPart] = []
    for part in parts { written += try add(part, at: begin().count) }
    let count = try begin().count
    try checked { () throws(ChunkStoreError) in
      try trailer.validate()
      guard trailer.dataLength == count, count > 0 else {
        throw .tooLarge("\(count) bytes of a chunk of \(trailer.dataLength)")
      }
      try files.guardian.requireWritable()
    }
    let last = lastPages(trailer)
    written.append(ChunkPart(last, 0..<last.count))
    let isWhole = offset == 0 && !parts.isEmpty
    try write(written, to: handle, at: isWhole ? 0 : Self.place(offset))
    do throws(DiskError) {
      try handle.syncData()
    } catch {
      throw fail(files.guardian.failure(error))
    }
    do throws(ChunkStoreError) {
      try await files.publish(name, as: header.id)
      try await published()
    } catch {
      throw fail(error)
    }
    end(.ended)
    files.forget(name)
  }

  func abort() async {
    let isNeeded = state.withLock { $0.phase != .ended }
    guard isNeeded else { return }
    end(.ended)
    files.discard(name)
  }

  /// Where the page that data from `offset` on begins in lies in the file.
  private static func place(_ offset: Int) -> Int {
    ChunkFileFormat.pageLength + offset / ChunkFileFormat.pageLength * ChunkFileFormat.pageLength
  }

  /// Counts data from `offset` on as appended. Returns what of it is to be written now: all but
  /// what lies behind the last whole page; before the first data, the start page.
  private func add(_ part: ChunkPart, at offset: Int) throws(ChunkStoreError) -> [ChunkPart] {
    let range = part.range
    precondition(
      range.lowerBound.isMultiple(of: ChunkFileFormat.pageLength), "blocks begin at a page")
    try checked { () throws(ChunkStoreError) in
      guard range.count <= ChunkLimits.dataLength - offset else {
        throw .tooLarge("a chunk of more than \(ChunkLimits.dataLength) bytes")
      }
      guard offset.isMultiple(of: ChunkFileFormat.pageLength) else {
        throw .tooLarge("data behind the last block")
      }
    }
    try files.guardian.requireWritable()
    // The space is looked at every 16 MiB.
    if offset >> 24 != (offset + range.count) >> 24 {
      try checked { () throws(ChunkStoreError) in
        try files.guardian.requireSpace(range.count)
      }
    }
    let whole = range.count / ChunkFileFormat.pageLength * ChunkFileFormat.pageLength
    let pages = range.lowerBound..<range.lowerBound + whole
    let tail = part.buffer.bytes(pages.upperBound..<range.upperBound)
    state.withLock { state in
      state.count += range.count
      state.tail = tail
    }
    var parts: [ChunkPart] = []
    if offset == 0 {
      let start = AlignedBuffer(count: ChunkFileFormat.pageLength)
      start.copy(ChunkFileFormat.startPage(header))
      parts.append(ChunkPart(start, 0..<start.count))
    }
    if whole > 0 { parts.append(ChunkPart(part.buffer, pages)) }
    return parts
  }

  /// The bytes behind the last whole page, the trailer, and the footer.
  private func lastPages(_ trailer: ChunkTrailer) -> AlignedBuffer {
    let tail = state.withLock { $0.tail }
    let encoded = trailer.encoded(for: header.id)
    let footer = ChunkFileFormat.footer(
      dataLength: trailer.dataLength, trailerLength: encoded.count)
    let start = tail.isEmpty ? 0 : ChunkFileFormat.pageLength
    let buffer = AlignedBuffer(count: start + encoded.count + footer.count)
    buffer.zero(0..<buffer.count)
    buffer.copy(tail)
    buffer.copy(encoded, at: start)
    buffer.copy(footer, at: buffer.count - footer.count)
    return buffer
  }

  /// The file, and the bytes of data that were appended; throws once it was given up.
  private func begin() throws(ChunkStoreError) -> (handle: any FileHandle, count: Int) {
    let (handle, count) = state.withLock { ($0.phase == .open ? $0.handle : nil, $0.count) }
    guard let handle else { throw .io("the chunk was given up or finished") }
    return (handle, count)
  }

  private func write(
    _ parts: [ChunkPart], to handle: any FileHandle, at offset: Int
  ) throws(ChunkStoreError) {
    do throws(DiskError) {
      let runs = unsafe parts.map { part in
        unsafe UnsafeRawBufferPointer(
          start: part.buffer.unsafeBase + part.range.lowerBound, count: part.range.count)
      }
      // The buffers live until the call returns.
      try unsafe handle.write(runs, at: offset)
    } catch {
      throw fail(files.guardian.failure(error))
    }
    withExtendedLifetime(parts) {}
  }

  private func checked(
    _ body: () throws(ChunkStoreError) -> Void
  ) throws(ChunkStoreError) {
    do throws(ChunkStoreError) { try body() } catch { throw fail(error) }
  }

  private func fail(_ error: ChunkStoreError) -> ChunkStoreError {
    end(.failed)
    return error
  }

  private func end(_ phase: Phase) {
    let closed = state.withLock { state in
      state.phase = phase
      state.tail = []
      return state.handle.take()
    }
    // The file is closed outside the lock.
    _ = closed
  }
}
