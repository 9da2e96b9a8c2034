internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Writes a chunk of another process as one stream. A piece is on its way when `append` returns, or
/// waits for others to go with it; a message waits until the connection has taken the one before.
///
/// The first piece goes at once: it shows whether the server takes the chunk. Later ones gather to
/// messages of 1 MiB, while they are few who do: a fourth of what writes to the server may hold.
final class RemoteChunkWriter: ChunkWriter {
  /// Pieces that wait to be sent: the first `count` bytes of a buffer.
  private struct Gathered {
    let lease: PooledBuffer
    var count = 0

    var room: Int { min(lease.memory.count, WireLimits.data) - count }

    /// Precondition: there is room.
    mutating func add(_ buffer: AlignedBuffer, _ range: Range<Int>) {
      lease.memory.copy(from: buffer, range, at: count)
      count += range.count
    }
  }

  private struct State {
    /// Waits to go with the first piece.
    var header: PutMessage.Frame?
    var gathered: Gathered?
    var hasEnded = false
  }

  private let server: RemoteServer
  private let call: ClientCall
  private let state: Mutex<State>

  init(_ header: ChunkHeader, store: StoreID, server: RemoteServer, call: ClientCall) {
    self.server = server
    self.call = call
    state = Mutex(State(header: PutMessage.Frame(store: store, header: header)))
  }

  deinit {
    if state.withLock({ !$0.hasEnded }) {
      call.cancel()
      server.end(call, .putChunk, .cancelled)
    }
  }

  func appendAtOnce(_ buffer: AlignedBuffer, _ range: Range<Int>) -> Bool {
    guard call.endedWith == nil else { return false }
    return state.withLock { state in
      guard !state.hasEnded, state.header == nil else { return false }
      var gathered = state.gathered ?? gathering()
      // A full buffer is for `append` to send.
      guard gathered != nil, range.count < gathered?.room ?? 0 else { return false }
      gathered?.add(buffer, range)
      state.gathered = gathered
      return true
    }
  }

  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
    try requireOpen()
    var start = range.lowerBound
    while start < range.upperBound {
      let isFirst = state.withLock { $0.header != nil }
      var gathered = state.withLock { $0.gathered.take() }
      if !isFirst, gathered == nil { gathered = gathering() }
      var piece: Gathered
      if let gathered {
        piece = gathered
      } else {
        let length = min(WireLimits.pieceData, range.upperBound - start)
        piece = Gathered(lease: try await server.lease(length))
      }
      let end = min(start + piece.room, range.upperBound)
      piece.add(buffer, start..<end)
      start = end
      if gathered != nil, piece.room > 0 {
        state.withLock { $0.gathered = piece }
      } else {
        try await send(piece)
      }
    }
  }

  func finish(
    _ trailer: ChunkTrailer, appending parts: [ChunkPart]
  ) async throws(ChunkStoreError) {
    try requireOpen()
    let length = parts.reduce(0) { $0 + $1.range.count }
    let mayGather = state.withLock { $0.gathered == nil } && length > 0
    if mayGather, length <= WireLimits.data, parts.count <= 16 {
      // All of a short chunk in one message.
      var piece = Gathered(lease: try await server.lease(length))
      for part in parts { piece.add(part.buffer, part.range) }
      state.withLock { $0.gathered = piece }
    } else {
      for part in parts { try await append(part.buffer, part.range) }
    }
    try await finish(trailer)
  }

  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
    try requireOpen()
    var checksums = trailer.blockChecksums[...]
    while checksums.count > WireLimits.checksums {
      if let piece = state.withLock({ $0.gathered.take() }) { try await send(piece) }
      var frame = takeHeader()
      frame.frame.addChecksums(checksums.prefix(WireLimits.checksums))
      checksums = checksums.dropFirst(WireLimits.checksums)
      try await send(
        OutgoingMessage(frame.frame.head.bytes + frame.frame.tail.bytes), isFirst: frame.isFirst)
      server.counters.sent()
    }
    let piece = state.withLock { $0.gathered.take() }
    var frame = takeHeader()
    frame.frame.addTrailer(trailer, checksums: checksums)
    let last: OutgoingMessage
    if let piece {
      last = server.message(frame.frame, piece.lease, count: piece.count)
    } else {
      last = OutgoingMessage(frame.frame.head.bytes + frame.frame.tail.bytes)
      server.counters.sent()
    }
    call.beginOperation(timeout: server.settings.finishTimeout)
    try await send(last, isFirst: frame.isFirst, isLast: true)
    while await call.receive() != nil { server.counters.received() }
    let status = await call.status()
    end(status.code)
    guard status.code == .ok else { throw StatusMapping.error(status) }
  }

  func abort() async {
    guard state.withLock({ !$0.hasEnded }) else { return }
    call.cancel()
    end(.cancelled)
  }

  /// A buffer to gather pieces in; nil when too many are in use: whoever writes slowly holds his.
  private func gathering() -> Gathered? {
    let pool = server.buffers
    return PooledBuffer(WireLimits.data, from: pool, keeping: pool.limit / 4 * 3)
      .map { Gathered(lease: $0) }
  }

  private func send(_ piece: Gathered) async throws(ChunkStoreError) {
    let frame = takeHeader()
    let message = server.message(frame.frame, piece.lease, count: piece.count)
    try await send(message, isFirst: frame.isFirst)
  }

  private func takeHeader() -> (frame: PutMessage.Frame, isFirst: Bool) {
    let header = state.withLock { $0.header.take() }
    return (header ?? PutMessage.Frame(), header != nil)
  }

  private func requireOpen() throws(ChunkStoreError) {
    if state.withLock({ $0.hasEnded }) { throw .io("the chunk was given up or finished") }
  }

  /// Hands a message over; throws what the server says when it takes no more.
  private func send(
    _ message: consuming OutgoingMessage, isFirst: Bool, isLast: Bool = false
  ) async throws(ChunkStoreError) {
    if !isLast { call.beginOperation(timeout: server.settings.writeTimeout) }
    let isSent: Bool
    if isFirst {
      isSent = await call.start(message, isLast: isLast)
    } else if isLast {
      isSent = await call.sendLast(message)
    } else {
      isSent = await call.send(message)
    }
    if !isLast { call.endOperation() }
    // An answer before the end is a refusal.
    guard !isSent || (!isLast && call.endedWith != nil) else { return }
    call.beginOperation(timeout: server.settings.writeTimeout)
    while await call.receive() != nil {}
    let status = await call.status()
    end(status.code)
    throw status.code == .ok
      ? .io("the server has answered before the end") : StatusMapping.error(status)
  }

  private func end(_ code: RPCStatus.Code) {
    call.endOperation()
    let isFirst = state.withLock { state in
      defer { state.hasEnded = true }
      state.gathered = nil
      return !state.hasEnded
    }
    if isFirst { server.end(call, .putChunk, code) }
  }
}
