import Base
import ChunkStore
import Erasure
import Metadata
import Runtime

/// A call of a store that failed, and for which chunk.
private struct RemakeFailure: Error {
  let index: Int
  let error: ChunkStoreError
}

extension ChunkFanOut {
  /// Makes chunks again, out of those that are durable, at other stores until enough are there.
  ///
  /// This is what an upload comes to that lost more stores than the quorum allows while it ran:
  /// its source is gone by, so that it reads what it wrote.
  func makeUp(_ trailers: [ChunkTrailer], plaintextLength: Int64) async throws {
    while !isEnough(present) {
      guard present.count >= scheme.data else { throw tooFew() }
      let extent = draft.row(trailers, plaintextLength: plaintextLength, missing: missing)
      let chunks = try replaceMissing().reduce(0) { $0 | UInt32(1) << UInt32($1) }
      do {
        try await withTaskExecutorPreference(engine.pool) { try await remake(extent, chunks) }
        missing &= ~chunks
      } catch let failure as RemakeFailure {
        try Task.checkCancellation()
        await lose(failure.index, failure.error)
      }
    }
  }

  /// Makes chunks of an extent at their new places.
  private func remake(_ extent: Extent, _ chunks: UInt32) async throws {
    let rebuild = try await engine.rebuild(extent, chunks: chunks, excluding: extent.missing)
    defer { rebuild.close() }
    let begun = BegunWriters()
    do {
      for index in rebuild.wanted {
        let store = engine.stores[draft.stores[index]]
        try await call(index) { () async throws(ChunkStoreError) in
          guard let store else { throw .offline("unknown store") }
          begun.set(index, try await store.beginChunk(rebuild.header(index)))
        }
      }
      for stripe in 0..<rebuild.geometry.stripeCount {
        for (index, range) in try await rebuild.rebuild(stripe: stripe) {
          let writer = begun.all[index]
          try await call(index) { () async throws(ChunkStoreError) in
            try await writer?.append(rebuild.memory, range)
          }
        }
      }
      for (index, trailer) in try rebuild.trailers() {
        let writer = begun.all[index]
        try await call(index) { () async throws(ChunkStoreError) in
          try await writer?.finish(trailer)
        }
      }
    } catch {
      for writer in begun.all.values { await writer.abort() }
      throw error
    }
  }

  private func call(
    _ index: Int, _ body: @escaping @Sendable () async throws(ChunkStoreError) -> Void
  ) async throws {
    let distant: Set<Int> = isDistant(draft.stores[index]) ? [index] : []
    let errors = await calls.run([index], distant: distant, isEnough: { _ in false }) {
      _ throws(ChunkStoreError) in
      try await body()
    }
    if let error = errors[index] { throw RemakeFailure(index: index, error: error) }
  }
}
