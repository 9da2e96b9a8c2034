internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime
internal import Synchronization

/// Writes a chunk of another process as one stream. A piece is on its way when `append` returns;
/// the next `append` waits until the connection has taken it.
final class RemoteChunkWriter: ChunkWriter {
  private struct State {
    /// Waits to go with the first piece.
    var header: PutMessage.Frame?
    var hasEnded = false
  }

  private let server: RemoteServer
  private let call: ClientCall
  private let state: Mutex<State>

  init(_ header: ChunkHeader, store: StoreID, server: RemoteServer, call: ClientCall) {
    self.server = server
    self.call = call
    state = Mutex(
      State(
        header: PutMessage.Frame(
          store: store, header: header, maximumData: WireLimits.firstData)))
  }

  deinit {
    if state.withLock({ !$0.hasEnded }) {
      call.cancel()
      server.end(call, .putChunk, .cancelled)
    }
  }

  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
    try requireOpen()
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + WireLimits.firstData, range.upperBound)
      let frame = takeHeader()
      let message = try await server.message(frame.frame, buffer, start..<end)
      try await send(message, isFirst: frame.isFirst)
      start = end
    }
  }

  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
    try requireOpen()
    var checksums = trailer.blockChecksums[...]
    while checksums.count > WireLimits.checksums {
      var frame = takeHeader()
      frame.frame.addChecksums(checksums.prefix(WireLimits.checksums))
      checksums = checksums.dropFirst(WireLimits.checksums)
      try await send(
        OutgoingMessage(frame.frame.head.bytes + frame.frame.tail.bytes), isFirst: frame.isFirst)
      server.counters.sent()
    }
    var frame = takeHeader()
    frame.frame.addTrailer(trailer, checksums: checksums)
    let last = OutgoingMessage(frame.frame.head.bytes + frame.frame.tail.bytes)
    server.counters.sent()
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
      return !state.hasEnded
    }
    if isFirst { server.end(call, .putChunk, code) }
  }
}
