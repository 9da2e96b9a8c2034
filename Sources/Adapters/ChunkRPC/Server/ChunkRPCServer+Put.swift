internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

extension ChunkRPCServer {
  /// Writes one chunk. Whatever ends the call before the chunk is complete gives it up.
  func put(_ call: ServerCall) async throws {
    if let begun = try await beginPut(call) {
      let writer = begun.writer
      var incoming = begun.chunk
      do {
        while try await incoming.take(try await nextPut(call), writer) == false {}
      } catch {
        await writer.abort()
        throw error
      }
    }
    counters.sent()
    await call.finish(OutgoingMessage([]))
  }

  /// Takes the first message; nil when it brought all of the chunk. A function of its own, so that
  /// nobody holds the message's buffer when the next one is waited for.
  private func beginPut(
    _ call: ServerCall
  ) async throws -> (chunk: IncomingChunk, writer: any ChunkWriter)? {
    let first = try await nextPut(call)
    guard let id = first.message.store, let header = first.message.header else {
      throw FormatError("the first message names no store or no chunk")
    }
    guard let store = stores[id] else { throw ChunkStoreError.offline("no such store here") }
    if first.message.isSmall {
      try await putSmall(first, header, to: store)
      return nil
    }
    let writer = try await store.beginChunk(header)
    do {
      var incoming = IncomingChunk(header.id)
      return try await incoming.take(first, writer) ? nil : (incoming, writer)
    } catch {
      await writer.abort()
      throw error
    }
  }

  private func putSmall(
    _ piece: IncomingPiece, _ header: ChunkHeader, to store: any ChunkStore
  ) async throws {
    let message = piece.message
    guard message.dataLength <= ChunkLimits.smallDataLength else {
      throw ChunkStoreError.tooLarge("a record of \(message.dataLength) bytes")
    }
    var incoming = IncomingChunk(header.id)
    guard let trailer = try incoming.check(piece) else {
      throw FormatError("a record without a trailer")
    }
    try await store.putSmall(
      header, data: piece.memory, range: 0..<message.dataLength, trailer: trailer,
      space: message.space)
  }

  /// The next message. It waits for a buffer of its length while the library holds it: a stream
  /// that stands still has none, and none waits for a second one.
  private func nextPut(_ call: ServerCall) async throws -> IncomingPiece {
    call.beginOperation(timeout: settings.receiveTimeout)
    let received = await call.receive()
    call.endOperation()
    try Task.checkCancellation()
    guard let received else {
      throw RPCStatus(.invalidArgument, "the chunk ends without a trailer")
    }
    let length = min(max(received.count, 1), WireLimits.data)
    let lease = try await stalled.buffer(length, from: buffers)
    let message = try PutMessage(received, dataInto: lease.memory, upTo: length)
    counters.received(bytes: message.dataLength)
    return IncomingPiece(message: message, lease: lease)
  }
}

/// A message and the buffer that its data lies in, from its beginning.
private struct IncomingPiece {
  let message: PutMessage
  private let lease: PooledBuffer

  init(message: PutMessage, lease: PooledBuffer) {
    self.message = message
    self.lease = lease
  }

  var memory: AlignedBuffer { lease.memory }
}

/// A chunk while it comes in: what is written is what its checksums describe.
private struct IncomingChunk {
  private var run: ChecksumRun
  private var checksums: [UInt32] = []

  init(_ id: ChunkID) {
    run = ChecksumRun(id)
  }

  /// Writes a message's data; returns true when the chunk is complete and durable.
  mutating func take(
    _ piece: IncomingPiece, _ writer: any ChunkWriter
  ) async throws -> Bool {
    let trailer = try check(piece)
    let data = ChunkPart(piece.memory, 0..<piece.message.dataLength)
    if let trailer {
      try await writer.finish(trailer, appending: data.range.isEmpty ? [] : [data])
      return true
    }
    if !data.range.isEmpty { try await writer.append(data.buffer, data.range) }
    return false
  }

  /// Checks what a message brings; returns the trailer when that is complete.
  mutating func check(_ piece: IncomingPiece) throws -> ChunkTrailer? {
    let message = piece.message
    if message.dataLength > 0 {
      guard run.dataLength.isMultiple(of: AlignedBuffer.alignment) else {
        throw FormatError("data behind the last block")
      }
      guard message.dataLength <= ChunkLimits.dataLength - run.dataLength else {
        throw ChunkStoreError.tooLarge("a chunk of more than \(ChunkLimits.dataLength) bytes")
      }
      unsafe piece.memory.withBytes(0..<message.dataLength) { unsafe run.append($0) }
    }
    checksums += message.checksums
    guard checksums.count <= ChunkChecksum.count(dataLength: run.dataLength) else {
      throw FormatError("more checksums than data")
    }
    guard let encoded = message.trailer else { return nil }
    let trailer = try ChunkWire.decodeTrailer(encoded, after: checksums)
    guard trailer.dataLength == run.dataLength else {
      throw FormatError("\(run.dataLength) bytes of a chunk of \(trailer.dataLength)")
    }
    guard trailer.blockChecksums == run.table else {
      throw ChunkStoreError.corrupt("the data differs from its checksums")
    }
    return trailer
  }
}
