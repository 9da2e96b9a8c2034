internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Reads a chunk of another process. A short chunk has come with its trailer; of a longer one, reads
/// that follow one another share a stream, which the server fills ahead of them.
final class RemoteChunkReader: ChunkReader {
  private struct State {
    /// How far reads have come that follow one another.
    var end = 0
    /// Bytes of these reads.
    var run = 0
    /// The one that brings what comes next, behind the one before it, of which parts may be missing
    /// that are read a little later.
    var streams: [ChunkStream] = []
    var isClosed = false

    mutating func advance(to range: Range<Int>) {
      guard range.upperBound > end else { return }
      run += range.upperBound - end
      end = range.upperBound
    }

    /// Whether a range lies a little before what was read last.
    func isLate(_ range: Range<Int>) -> Bool {
      range.upperBound <= end && end - range.lowerBound <= 2 * StreamClaims.largestGap
    }

    /// Goes on with `next`; returns a stream that has nothing to give any more.
    mutating func follow(with next: ChunkStream) -> ChunkStream? {
      let previous = streams.last
      streams.append(next)
      let isOver = previous.map { !$0.isAtEnd } ?? false
      guard isOver || streams.count > 2 else { return nil }
      return streams.remove(at: isOver ? streams.count - 2 : 0)
    }
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
    guard offset >= 0, offset <= buffer.count, range.count <= buffer.count - offset else {
      throw .tooLarge("a range outside its buffer")
    }
    var start = range.lowerBound
    repeat {
      let end = min(start + WireLimits.data, range.upperBound)
      let bytes = try await bytes(start..<end)
      LentMessages(bytes: bytes).copy(to: buffer, at: offset + start - range.lowerBound)
      start = end
    } while start < range.upperBound
  }

  func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? {
    guard range.count <= WireLimits.data else { return nil }
    return LentMessages(bytes: try await bytes(range))
  }

  func lendAtOnce(_ range: Range<Int>) -> (any LentBytes)? {
    guard whole == nil, let stream = state.withLock({ $0.isClosed ? nil : $0.streams.last }),
      let bytes = stream.readAtOnce(range)
    else { return nil }
    state.withLock { $0.advance(to: range) }
    return (try? check(range, bytes)).map { LentMessages(bytes: bytes) }
  }

  func close() {
    let streams = state.withLock { state in
      state.isClosed = true
      defer { state.streams = [] }
      return state.streams
    }
    for stream in streams { stream.close() }
  }

  deinit { close() }

  /// A stream that brings `range`, for a read that goes on about where others ended; nil for any
  /// other.
  ///
  /// A stream begins with the second such read, and covers twice what was read so far.
  private func claim(_ range: Range<Int>) -> ChunkStream? {
    let (claimed, old) = state.withLock { state -> (ChunkStream?, ChunkStream?) in
      guard !state.isClosed else { return (nil, nil) }
      if let stream = state.streams.last(where: { $0.claim(range) }) {
        state.advance(to: range)
        return (stream, nil)
      }
      // One that comes late is no jump.
      if state.isLate(range) { return (nil, nil) }
      let start = state.end
      let gap = range.lowerBound - start
      guard start > 0, gap >= 0, gap <= StreamClaims.largestGap else {
        state.run = range.count
        state.end = range.upperBound
        return (nil, nil)
      }
      state.advance(to: range)
      let length = ByteCount.roundUp(
        max(range.upperBound - start, min(2 * state.run, Self.longestStream)),
        to: ChunkLimits.checksumSpan)
      let part = start..<min(start + length, trailer.dataLength)
      guard let lease = server.streams.lease(for: part.count) else { return (nil, nil) }
      let stream = ChunkStream(part, chunk: id, store: store, server: server, lease: lease)
      guard stream.claim(range) else { return (nil, nil) }
      return (stream, state.follow(with: stream))
    }
    // Reads that have claimed a part of it end first.
    old?.closeWhenRead()
    return claimed
  }

  private func drop(_ stream: ChunkStream) {
    state.withLock { state in state.streams.removeAll { $0 === stream } }
    stream.close()
  }

  /// Reads at most 1 MiB.
  private func bytes(_ range: Range<Int>) async throws(ChunkStoreError) -> ReceivedBytes {
    guard range.lowerBound >= 0, range.upperBound <= trailer.dataLength else {
      throw .tooLarge("a range outside the chunk")
    }
    if state.withLock({ $0.isClosed }) { throw .io("the chunk was closed") }
    if range.isEmpty || whole != nil { return try here(range) }
    if let stream = claim(range) {
      do throws(ChunkStoreError) {
        let bytes = try await stream.read(range)
        try check(range, bytes)
        return bytes
      } catch {
        // The server may have ended a stream that stood still: what was read can be read again.
        drop(stream)
        guard !Task.isCancelled else { throw error }
      }
    }
    let bytes = try await ask(range)
    try check(range, bytes)
    return bytes
  }

  /// What has come with the trailer.
  private func here(_ range: Range<Int>) throws(ChunkStoreError) -> ReceivedBytes {
    let bytes: ReceivedBytes
    do throws(FormatError) {
      var data = whole
      try data?.skip(range.lowerBound)
      bytes = try ReceivedBytes(data.map { [($0, range.count)] } ?? [])
    } catch {
      throw .io("an answer that is none")
    }
    try check(range, bytes)
    return bytes
  }

  /// Reads at most 1 MiB with a call of its own.
  private func ask(_ range: Range<Int>) async throws(ChunkStoreError) -> ReceivedBytes {
    var request = GetRequest(store: store, chunk: id)
    request.offset = range.lowerBound
    request.length = range.count
    request.isWithoutTrailer = true
    let answer = try await server.unary(
      .getChunk, OutgoingMessage(request.encoded), .bulk, timeout: server.settings.readTimeout)
    let message = try server.decoded { () throws(FormatError) in try GetMessage(answer) }
    guard let data = message.data, message.dataLength == range.count else {
      throw .io("an answer of another length")
    }
    server.counters.received(bytes: range.count)
    return try server.decoded { () throws(FormatError) in
      try ReceivedBytes([(data, range.count)])
    }
  }

  /// Compares what has come with the trailer's checksums.
  private func check(_ range: Range<Int>, _ bytes: ReceivedBytes) throws(ChunkStoreError) {
    let first = range.lowerBound / ChunkLimits.checksumSpan
    var run = ChecksumRun(id, first: first)
    unsafe bytes.withRuns(0..<bytes.count) { runs in
      for index in unsafe runs.indices { unsafe run.append(runs[index]) }
    }
    guard trailer.blockChecksums.dropFirst(first).starts(with: run.table) else {
      throw .corrupt("data does not match its checksum")
    }
  }
}

/// Bytes of a chunk that lie in the messages that brought them.
private struct LentMessages: LentBytes {
  let bytes: ReceivedBytes

  var count: Int { bytes.count }

  func withRuns<Result, Failure: Error>(
    _ range: Range<Int>, _ body: ([UnsafeRawBufferPointer]) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try unsafe bytes.withRuns(range, body)
  }
}
