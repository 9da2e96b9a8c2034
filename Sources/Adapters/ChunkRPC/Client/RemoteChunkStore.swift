internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

/// A store of another process. Its functions wait without blocking: any executor will do.
struct RemoteChunkStore: ChunkStore {
  let id: StoreID
  let server: RemoteServer

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    guard range.count <= ChunkLimits.smallDataLength else {
      throw .tooLarge("a record of \(range.count) bytes")
    }
    guard trailer.blockChecksums.count <= WireLimits.checksums else {
      throw .tooLarge("a record with \(trailer.blockChecksums.count) checksums")
    }
    var frame = PutMessage.Frame(
      store: id, header: header, isSmall: true, space: space)
    frame.addTrailer(trailer, checksums: trailer.blockChecksums[...])
    let message = try await server.message(frame, data, range)
    _ = try await server.unary(
      .putChunk, message, .bulk, timeout: server.settings.writeTimeout)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    RemoteChunkWriter(
      header, store: id, server: server,
      call: try server.begin(.putChunk, .bulk, timeout: server.settings.streamTimeout))
  }

  func openChunk(_ chunk: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    var request = GetRequest(store: id, chunk: chunk)
    request.wholeUpTo = ChunkLimits.smallDataLength
    let answer = try await server.unary(
      .getChunk, OutgoingMessage(request.encoded), .bulk, timeout: server.settings.openTimeout)
    let message = try server.decoded { () throws(FormatError) in try GetMessage(answer) }
    guard let trailer = message.trailer,
      message.dataLength == (trailer.dataLength <= request.wholeUpTo ? trailer.dataLength : 0)
    else { throw .io("an answer without a trailer") }
    server.counters.received(bytes: message.dataLength)
    return RemoteChunkReader(
      chunk, trailer: trailer, whole: message.data, store: id, server: server)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    var rest = ids[...]
    while !rest.isEmpty {
      let request = DeleteRequest(store: id, chunks: Array(rest.prefix(4096)))
      rest = rest.dropFirst(4096)
      var timeout = server.settings.finishTimeout
      if let left = ChunkCallPolicy.stamping?.timeLeft {
        guard left > .zero else { throw .offline("another process does this work now") }
        timeout = min(timeout, left)
      }
      _ = try await server.unary(
        .deleteChunks, OutgoingMessage(request.encoded), .control, timeout: timeout)
    }
  }

  func stat(_ chunk: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    let request = ChunkRequest(store: id, chunk: chunk)
    let answer = try await server.unary(
      .statChunk, OutgoingMessage(request.encoded), .control,
      timeout: server.settings.openTimeout)
    return try server.decoded { () throws(FormatError) in try StatMessage.decode(answer) }
  }

  func verify(_ chunk: ChunkID) async throws(ChunkStoreError) {
    let request = ChunkRequest(store: id, chunk: chunk)
    _ = try await server.unary(
      .verifyChunk, OutgoingMessage(request.encoded), .control,
      timeout: server.settings.verifyTimeout)
  }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    let request = ListRequest(store: id, position: position, limit: max(limit, 1))
    let call = try server.begin(.listChunks, .control, timeout: server.settings.listTimeout)
    var page = ChunkPage(chunks: [], next: nil)
    var failure: ChunkStoreError?
    _ = await call.start(OutgoingMessage(request.encoded), isLast: true)
    while let message = await call.receive() {
      server.counters.received()
      guard let part = try? ListMessage.decode(message), page.chunks.count <= request.limit else {
        failure = .io("an answer that is none")
        call.cancel()
        break
      }
      page.chunks += part.chunks
      page.next = part.next
    }
    let status = await call.status()
    server.end(call, .listChunks, status.code)
    if let failure { throw failure }
    guard status.code == .ok else { throw StatusMapping.error(status) }
    return page
  }

  func health() async -> StoreHealth {
    let reason: String
    do throws(ChunkStoreError) {
      let health = try await server.health()
      if let found = health.stores.first(where: { $0.id == id }) { return found.health }
      reason = "the server has no such store"
    } catch {
      reason = error.description
    }
    return StoreHealth(
      state: .offline, reason: reason, capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
  }
}

extension RemoteServer {
  /// A message with data, which is copied: the caller may have its buffer again at once, while the
  /// library holds on to what it has not sent.
  func message(
    _ frame: PutMessage.Frame, _ data: AlignedBuffer, _ range: Range<Int>
  ) async throws(ChunkStoreError) -> OutgoingMessage {
    guard !range.isEmpty else { return OutgoingMessage(frame.head.bytes + frame.tail.bytes) }
    let lease = try await lease(range.count)
    lease.memory.copy(from: data, range, at: 0)
    return message(frame, lease, count: range.count)
  }

  /// A message with the first `count` bytes of a buffer that nobody writes to any more.
  func message(
    _ frame: PutMessage.Frame, _ lease: PooledBuffer, count: Int
  ) -> OutgoingMessage {
    var frame = frame
    frame.addData(count: count)
    counters.sent(bytes: count)
    return OutgoingMessage(
      frame.head.bytes, MessageSlice(lease.memory, 0..<count, owner: lease), frame.tail.bytes)
  }

  /// A buffer for a message; waits until the server's others leave room for it.
  func lease(_ count: Int) async throws(ChunkStoreError) -> PooledBuffer {
    do {
      return try await PooledBuffer(count, from: buffers)
    } catch {
      throw .offline("the call was cancelled")
    }
  }
}
