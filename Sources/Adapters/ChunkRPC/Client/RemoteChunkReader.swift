internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Reads a chunk of another process. A short chunk has come with its trailer.
final class RemoteChunkReader: ChunkReader {
  let trailer: ChunkTrailer
  let id: ChunkID
  let store: StoreID
  let server: RemoteServer
  private let whole: MessageReader?
  private let isClosed = Atomic(false)

  init(
    _ id: ChunkID, trailer: ChunkTrailer, whole: MessageReader?, store: StoreID,
    server: RemoteServer
  ) {
    self.id = id
    self.trailer = trailer
    self.whole = whole
    self.store = store
    self.server = server
  }

  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    guard range.lowerBound >= 0, range.upperBound <= trailer.dataLength, offset >= 0,
      offset <= buffer.count, range.count <= buffer.count - offset
    else { throw .tooLarge("a range outside the chunk or its buffer") }
    if isClosed.load(ordering: .acquiring) { throw .io("the chunk was closed") }
    guard !range.isEmpty else { return }
    if var whole {
      do throws(FormatError) {
        try whole.skip(range.lowerBound)
        try whole.read(range.count, into: buffer, at: offset)
      } catch {
        throw .io("an answer that is none")
      }
      return try check(range, in: buffer, at: offset)
    }
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + WireLimits.data, range.upperBound)
      try await readPiece(start..<end, into: buffer, at: offset + start - range.lowerBound)
      start = end
    }
  }

  func close() {
    isClosed.store(true, ordering: .releasing)
  }

  /// Reads at most 1 MiB with a call of its own.
  private func readPiece(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    var request = GetRequest(store: store, chunk: id)
    request.offset = range.lowerBound
    request.length = range.count
    request.isWithoutTrailer = true
    let answer = try await server.unary(
      .getChunk, OutgoingMessage(request.encoded), .bulk, timeout: server.settings.readTimeout)
    let message = try server.decoded { () throws(FormatError) in try GetMessage(answer) }
    guard var data = message.data, message.dataLength == range.count else {
      throw .io("an answer of another length")
    }
    server.counters.received(bytes: range.count)
    try server.decoded { () throws(FormatError) in
      try data.read(range.count, into: buffer, at: offset)
    }
    try check(range, in: buffer, at: offset)
  }

  /// Compares what has come with the trailer's checksums.
  func check(
    _ range: Range<Int>, in buffer: AlignedBuffer, at offset: Int
  ) throws(ChunkStoreError) {
    let isRight = unsafe buffer.withBytes(offset..<offset + range.count) { bytes in
      unsafe ChunkChecksum.matches(
        bytes, of: id, firstPiece: range.lowerBound / ChunkLimits.checksumSpan,
        table: trailer.blockChecksums)
    }
    guard isRight else { throw .corrupt("data does not match its checksum") }
  }
}
