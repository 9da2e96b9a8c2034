internal import Base
internal import ChunkStore
internal import GRPC
internal import Runtime

extension ChunkRPCServer {
  /// Reads a range of one chunk. The next piece is read while the one before is on its way.
  func get(_ call: ServerCall) async throws {
    let request = try GetRequest(try await message(of: call))
    let reader = try await store(request.store).openChunk(request.chunk)
    defer { reader.close() }
    let range = try request.range(in: reader.trailer)
    let piece = try request.pieceLength()
    var trailer = request.isWithoutTrailer ? nil : reader.trailer
    guard !range.isEmpty else {
      counters.sent()
      await call.finish(OutgoingMessage(GetMessage.head(trailer: trailer, dataLength: 0)))
      return
    }
    for start in stride(from: range.lowerBound, to: range.upperBound, by: piece) {
      let part = start..<min(start + piece, range.upperBound)
      let lease = try await stalled.buffer(part.count, from: readBuffers)
      try await reader.read(part, into: lease.memory, at: 0)
      try Task.checkCancellation()
      let message = Self.message(
        trailer, part, of: reader, in: lease.memory, owner: stalled.sending(lease, by: call))
      trailer = nil
      call.beginOperation(timeout: settings.sendTimeout)
      counters.sent(bytes: part.count)
      if part.upperBound == range.upperBound {
        await call.finish(message)
      } else if await call.send(message) == false {
        throw CancellationError()
      }
    }
  }

  private static func message(
    _ trailer: ChunkTrailer?, _ part: Range<Int>, of reader: any ChunkReader,
    in memory: AlignedBuffer, owner: SentBuffer
  ) -> OutgoingMessage {
    let span = ChunkLimits.checksumSpan
    let first = part.lowerBound / span
    let checksums = reader.trailer.blockChecksums[
      first..<first + ChunkChecksum.count(dataLength: part.count)]
    return OutgoingMessage(
      GetMessage.head(trailer: trailer, dataLength: part.count),
      MessageSlice(memory, 0..<part.count, owner: owner),
      GetMessage.tail(checksums: checksums))
  }
}
