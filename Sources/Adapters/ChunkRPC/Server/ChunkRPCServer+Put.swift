internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

extension ChunkRPCServer {
  /// Writes one chunk. Whatever ends the call before the chunk is complete gives it up.
  func put(_ call: ServerCall) async throws {
    let (first, lease) = try await nextPut(
      call, into: try await stalled.buffer(WireLimits.firstData, from: buffers),
      upTo: WireLimits.firstData)
    guard let id = first.store, let header = first.header else {
      throw FormatError("the first message names no store or no chunk")
    }
    guard let store = stores[id] else { throw ChunkStoreError.offline("no such store here") }
    if first.isSmall {
      try await putSmall(first, header, to: store, from: lease.memory)
    } else {
      let maximum = first.maximumData == 0 ? WireLimits.data : first.maximumData
      guard maximum <= WireLimits.data else {
        throw FormatError("messages have at most 1 MiB of data")
      }
      let writer = try await store.beginChunk(header)
      do {
        var incoming = IncomingChunk(header.id)
        if try await incoming.take(first, from: lease.memory, writer) == false {
          try await putRest(call, &incoming, writer, lease: lease, maximum: maximum)
        }
      } catch {
        await writer.abort()
        throw error
      }
    }
    counters.sent()
    await call.finish(OutgoingMessage([]))
  }

  private func putRest(
    _ call: ServerCall, _ incoming: inout IncomingChunk, _ writer: any ChunkWriter,
    lease: PooledBuffer, maximum: Int
  ) async throws {
    var lease = lease
    if maximum > WireLimits.firstData {
      // Nobody waits for one buffer while holding another.
      lease.giveBack()
      lease = try await stalled.buffer(maximum, from: buffers)
    }
    while true {
      let message: PutMessage
      (message, lease) = try await nextPut(call, into: lease, upTo: maximum)
      if try await incoming.take(message, from: lease.memory, writer) { return }
    }
  }

  private func putSmall(
    _ message: PutMessage, _ header: ChunkHeader, to store: any ChunkStore,
    from buffer: AlignedBuffer
  ) async throws {
    guard message.dataLength <= ChunkLimits.smallDataLength else {
      throw ChunkStoreError.tooLarge("a record of \(message.dataLength) bytes")
    }
    var incoming = IncomingChunk(header.id)
    let range = 0..<message.dataLength
    guard let trailer = try incoming.check(message, in: buffer) else {
      throw FormatError("a record without a trailer")
    }
    try await store.putSmall(
      header, data: buffer, range: range, trailer: trailer, space: message.space)
  }

  /// The next message and the buffer with its data. While the client sends none, the buffer may go
  /// to others.
  private func nextPut(
    _ call: ServerCall, into lease: PooledBuffer, upTo limit: Int
  ) async throws -> (PutMessage, PooledBuffer) {
    let parked = stalled.park(lease)
    call.beginOperation(timeout: settings.receiveTimeout)
    let received = await call.receive()
    call.endOperation()
    let kept = stalled.unpark(parked)
    try Task.checkCancellation()
    guard let received else {
      throw RPCStatus(.invalidArgument, "the chunk ends without a trailer")
    }
    let buffer =
      if let kept { kept } else { try await stalled.buffer(limit, from: buffers) }
    let message = try PutMessage(received, dataInto: buffer.memory, upTo: limit)
    counters.received(bytes: message.dataLength)
    return (message, buffer)
  }
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
    _ message: PutMessage, from buffer: AlignedBuffer, _ writer: any ChunkWriter
  ) async throws -> Bool {
    let trailer = try check(message, in: buffer)
    if message.dataLength > 0 { try await writer.append(buffer, 0..<message.dataLength) }
    guard let trailer else { return false }
    try await writer.finish(trailer)
    return true
  }

  /// Checks what a message brings; returns the trailer when that is complete.
  mutating func check(
    _ message: PutMessage, in buffer: AlignedBuffer
  ) throws -> ChunkTrailer? {
    if message.dataLength > 0 {
      guard run.dataLength.isMultiple(of: AlignedBuffer.alignment) else {
        throw FormatError("data behind the last block")
      }
      guard message.dataLength <= ChunkLimits.dataLength - run.dataLength else {
        throw ChunkStoreError.tooLarge("a chunk of more than \(ChunkLimits.dataLength) bytes")
      }
      unsafe buffer.withBytes(0..<message.dataLength) { unsafe run.append($0) }
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
