internal import Runtime

/// A writer whose failures and end are counted by the breaker.
///
/// A stream that runs goes on whatever the breaker says: it shows itself whether the server lives.
/// That a piece was taken shows nothing, since it may only be on its way.
final class GuardedChunkWriter: ChunkWriter {
  private let writer: any ChunkWriter
  private let gate: ChunkCallGate

  init(_ writer: any ChunkWriter, gate: ChunkCallGate) {
    self.writer = writer
    self.gate = gate
  }

  func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
    do throws(ChunkStoreError) {
      try await writer.append(buffer, range)
    } catch {
      gate.note(error)
      throw error
    }
  }

  func appendAtOnce(_ buffer: AlignedBuffer, _ range: Range<Int>) -> Bool {
    writer.appendAtOnce(buffer, range)
  }

  func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
    try await finish(trailer, appending: [])
  }

  func finish(
    _ trailer: ChunkTrailer, appending parts: [ChunkPart]
  ) async throws(ChunkStoreError) {
    do throws(ChunkStoreError) {
      try await writer.finish(trailer, appending: parts)
      gate.breaker.record(.success)
    } catch {
      gate.note(error)
      throw error
    }
  }

  func abort() async { await writer.abort() }
}

/// A reader whose reads are counted by the breaker and repeated where that is allowed.
final class GuardedChunkReader: ChunkReader {
  private let reader: any ChunkReader
  private let gate: ChunkCallGate

  var trailer: ChunkTrailer { reader.trailer }

  init(_ reader: any ChunkReader, gate: ChunkCallGate) {
    self.reader = reader
    self.gate = gate
  }

  func read(
    _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
  ) async throws(ChunkStoreError) {
    try await gate.repeating { () async throws(ChunkStoreError) in
      try await reader.read(range, into: buffer, at: offset)
    }
  }

  func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? {
    try await gate.repeating { () async throws(ChunkStoreError) in try await reader.lend(range) }
  }

  func lendAtOnce(_ range: Range<Int>) -> (any LentBytes)? { reader.lendAtOnce(range) }

  func close() { reader.close() }
}
