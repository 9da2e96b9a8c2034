internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Reads a chunk of another process. A short chunk has come with its trailer; of a longer one, reads
/// that follow one another share a stream, which the server fills ahead of them.
final class RemoteChunkReader: ChunkReader {
  private struct State {
    /// Where the last read ended that began where one ended before it.
    var end = 0
    /// Bytes that were read one after the other.
    var run = 0
    var stream: ChunkStream?
    var isClosed = false
  }

  /// The longest range of one stream.
  private static let longestStream = 64 * ByteCount.mebibyte

  let trailer: ChunkTrailer
  let id: ChunkID
  let store: StoreID
  let server: RemoteServer
  private let whole: MessageReader?
  private let state = Mutex(State())

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
    if state.withLock({ $0.isClosed }) { throw .io("the chunk was closed") }
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
    if let (stream, turn) = claim(range) {
      do throws(ChunkStoreError) {
        try await stream.read(turn, range.count, into: buffer, at: offset)
        return try check(range, in: buffer, at: offset)
      } catch {
        // The server may have ended a stream that stood still: what was read can be read again.
        drop(stream)
        guard !Task.isCancelled else { throw error }
      }
    }
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + WireLimits.data, range.upperBound)
      try await readPiece(start..<end, into: buffer, at: offset + start - range.lowerBound)
      start = end
    }
  }

  func close() {
    let stream = state.withLock { state in
      state.isClosed = true
      return state.stream.take()
    }
    stream?.close()
  }

  deinit {
    state.withLock { $0.stream.take() }?.close()
  }

  /// A place in the stream for a read that goes on where the one before ended; nil for any other.
  ///
  /// A stream begins with the second such read, and covers twice what was read so far.
  private func claim(_ range: Range<Int>) -> (ChunkStream, Int)? {
    let (claimed, old) = state.withLock { state -> ((ChunkStream, Int)?, ChunkStream?) in
      guard !state.isClosed, range.lowerBound == state.end, range.lowerBound > 0 else {
        state.run = range.count
        state.end = range.upperBound
        return (nil, nil)
      }
      state.run += range.count
      state.end = range.upperBound
      if let stream = state.stream, let turn = stream.claim(range) {
        return ((stream, turn), nil)
      }
      let span = ChunkLimits.checksumSpan
      let length = ByteCount.roundUp(
        max(range.count, min(2 * state.run, Self.longestStream)), to: span)
      let end = min(range.lowerBound + length, trailer.dataLength)
      let old = state.stream
      let stream = ChunkStream(
        range.lowerBound..<end, chunk: id, store: store, server: server)
      state.stream = stream
      return (stream.claim(range).map { (stream, $0) }, old)
    }
    // Reads that have a place in it end first.
    old?.closeWhenRead()
    return claimed
  }

  private func drop(_ stream: ChunkStream) {
    state.withLock { state in
      if state.stream === stream { state.stream = nil }
    }
    stream.close()
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
