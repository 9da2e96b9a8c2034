import Base
import ChunkStore
import Erasure
import Runtime

/// Writes the k + m chunks of one extent, each to its store, and knows which of them failed.
///
/// Used by one task at a time; its calls run on the executor of that task, which may block.
final class ChunkFanOut: @unchecked Sendable {
  // `Sendable` because it is handed back when a lane ends; never used by two tasks at once.
  private let draft: ExtentDraft
  private let stores: StoreSet
  private let pool: ThreadPool
  private var writers: [(any ChunkWriter)?]
  private var isOpen = false
  private(set) var missing: UInt32 = 0

  init(_ draft: ExtentDraft, stores: StoreSet, pool: ThreadPool) {
    self.draft = draft
    self.stores = stores
    self.pool = pool
    writers = draft.stores.map { _ in nil }
  }

  /// Appends a stripe's blocks to all chunks. Throws once too many chunks have failed.
  func append(_ stripe: CodedStripe) async throws {
    if !isOpen { try await open() }
    for index in writers.indices {
      guard let writer = writers[index] else { continue }
      let start = stripe.layout.block(index)
      do throws(ChunkStoreError) {
        try await writer.append(stripe.buffer.memory, start..<start + stripe.blockLength)
      } catch {
        await writer.abort()
        try fail(index, error)
      }
    }
  }

  /// Makes the chunks durable, all at once. Throws when fewer than the quorum are.
  func finish(_ trailers: [ChunkTrailer]) async throws {
    let outcomes = await onAllStores { [writers] index throws(ChunkStoreError) in
      try await writers[index]?.finish(trailers[index])
    }
    try record(outcomes)
  }

  /// Stores the whole extent, which is one stripe: small chunks as records of a volume.
  func store(_ stripe: CodedStripe, _ trailers: [ChunkTrailer]) async throws {
    let draft = draft
    let stores = stores
    let outcomes = await onAllStores { index throws(ChunkStoreError) in
      guard let store = stores[draft.stores[index]] else { throw .offline("unknown store") }
      let start = stripe.layout.block(index)
      let range = start..<start + stripe.blockLength
      if stripe.blockLength <= ChunkLimits.smallDataLength {
        return try await store.putSmall(
          draft.header(index), data: stripe.buffer.memory, range: range, trailer: trailers[index])
      }
      let writer = try await store.beginChunk(draft.header(index))
      do throws(ChunkStoreError) {
        try await writer.append(stripe.buffer.memory, range)
        try await writer.finish(trailers[index])
      } catch {
        await writer.abort()
        throw error
      }
    }
    try record(outcomes)
  }

  /// Drops what was not finished.
  func abort() async {
    for index in writers.indices {
      await writers[index]?.abort()
      writers[index] = nil
    }
  }

  private func open() async throws {
    isOpen = true
    for index in writers.indices {
      do throws(ChunkStoreError) {
        guard let store = stores[draft.stores[index]] else { throw .offline("unknown store") }
        writers[index] = try await store.beginChunk(draft.header(index))
      } catch {
        try fail(index, error)
      }
    }
  }

  private func onAllStores(
    _ body: @escaping @Sendable (Int) async throws(ChunkStoreError) -> Void
  ) async -> [ChunkStoreError?] {
    let count = writers.count
    let skipped = missing
    return await withTaskGroup(of: (Int, ChunkStoreError?).self) { group in
      for index in 0..<count where skipped & 1 << UInt32(index) == 0 {
        group.addTask(executorPreference: pool) {
          do throws(ChunkStoreError) {
            try await body(index)
            return (index, nil)
          } catch {
            return (index, error)
          }
        }
      }
      var outcomes = [ChunkStoreError?](repeating: nil, count: count)
      for await (index, error) in group { outcomes[index] = error }
      return outcomes
    }
  }

  private func record(_ outcomes: [ChunkStoreError?]) throws {
    for (index, error) in outcomes.enumerated() {
      if let error { try fail(index, error) }
    }
  }

  /// Counts a chunk as missing; throws once fewer than k + ⌈m/2⌉ are left.
  private func fail(_ index: Int, _ error: ChunkStoreError) throws {
    writers[index] = nil
    stores.note(error, of: draft.stores[index])
    missing |= 1 << UInt32(index)
    let left = writers.count - missing.nonzeroBitCount
    let needed = draft.scheme.writeQuorum
    guard left >= needed else {
      if case .full = error { throw EngineError.storesFull }
      throw EngineError.tooFewStores(available: left, needed: needed)
    }
  }
}
