import Base
import ChunkStore
import Erasure
import Metadata
import Runtime

/// Writes the k + m chunks of one extent, each to its store, and knows which of them failed.
///
/// A store that fails or stalls costs its chunk; where too few would be left, another store takes
/// the chunk while that can be done, doubled up if need be. Used by one task at a time; its calls
/// run on the executor of that task, which may block.
final class ChunkFanOut: @unchecked Sendable {
  // `Sendable` because it is handed back when a lane ends; never used by two tasks at once.
  /// The extent; its places are those that the chunks are really at.
  private(set) var draft: ExtentDraft
  /// Chunks that are not there, a bit for each.
  var missing: UInt32 = 0
  let engine: ObjectEngine
  let calls: StoreCalls
  private var writers: [(any ChunkWriter)?]
  /// Chunks whose stores may be waited for without a thread.
  private var distant: Set<Int> = []
  private var failed: Set<StoreID> = []
  private var hasBegun = false
  /// The last error of each chunk that is missing.
  private var errors: [Int: ChunkStoreError] = [:]

  var scheme: ErasureScheme { draft.scheme }

  init(_ draft: ExtentDraft, engine: ObjectEngine) {
    self.draft = draft
    self.engine = engine
    calls = StoreCalls(
      options: engine.configuration.faults, pool: engine.pool, quorum: draft.scheme.data)
    writers = draft.stores.map { _ in nil }
    distant = Set(draft.stores.indices.filter { isDistant(draft.stores[$0]) })
  }

  func isDistant(_ store: StoreID) -> Bool {
    engine.stores[store] is any CancellableChunkStore
  }

  /// Appends a stripe's blocks to all chunks. Throws once fewer than k are left, or too few after
  /// the first stripe.
  func append(_ stripe: CodedStripe) async throws {
    guard hasBegun else {
      hasBegun = true
      return try await begin(stripe)
    }
    let writers = writers
    let waited = present.filter { index in
      writers[index]?.appendAtOnce(stripe.buffer.memory, stripe.range(index)) != true
    }
    guard !waited.isEmpty else { return }
    let errors = await calls.run(
      waited, distant: distant, inline: near, settled: present.filter { !waited.contains($0) },
      isEnough: { self.isEnough($0) }
    ) {
      index throws(ChunkStoreError) in
      try await writers[index]?.append(stripe.buffer.memory, stripe.range(index))
    }
    try Task.checkCancellation()
    for (index, error) in errors { await lose(index, error) }
    guard present.count >= scheme.data else { throw tooFew() }
  }

  /// Makes the chunks durable, all at once. Throws when too few are and cannot be made again.
  func finish(_ trailers: [ChunkTrailer], plaintextLength: Int64) async throws {
    let writers = writers
    let errors = await calls.run(present, distant: distant, isEnough: { self.isEnough($0) }) {
      index throws(ChunkStoreError) in
      try await writers[index]?.finish(trailers[index])
    }
    try Task.checkCancellation()
    for (index, error) in errors { await lose(index, error) }
    if missing != 0, !isEnough(present) {
      try await makeUp(trailers, plaintextLength: plaintextLength)
    }
  }

  /// Stores the whole extent, its stripes in order: small chunks as records of a volume.
  func store(_ stripes: [CodedStripe], _ trailers: [ChunkTrailer]) async throws {
    try await place(inline: []) { [draft] store, index throws(ChunkStoreError) in
      let parts = stripes.map { ChunkPart($0.buffer.memory, $0.range(index)) }
      if parts.count == 1, parts[0].range.count <= ChunkLimits.smallDataLength {
        try await store.putSmall(
          draft.header(index), data: parts[0].buffer, range: parts[0].range,
          trailer: trailers[index])
        return nil
      }
      let writer = try await store.beginChunk(draft.header(index))
      do throws(ChunkStoreError) {
        try await writer.finish(trailers[index], appending: parts)
      } catch {
        await writer.abort()
        throw error
      }
      return nil
    }
  }

  /// Drops what was not finished.
  func abort() async {
    for index in writers.indices {
      await writers[index]?.abort()
      writers[index] = nil
    }
  }

  // MARK: Beginning

  private func begin(_ stripe: CodedStripe) async throws {
    try await place(inline: near) { [draft] store, index throws(ChunkStoreError) in
      let writer = try await store.beginChunk(draft.header(index))
      do throws(ChunkStoreError) {
        try await writer.append(stripe.buffer.memory, stripe.range(index))
      } catch {
        await writer.abort()
        throw error
      }
      return writer
    }
  }

  /// Begins all chunks; where too many stores fail, other stores take theirs.
  private func place(
    inline: Set<Int>,
    _ body:
      @escaping @Sendable (any ChunkStore, Int) async throws(ChunkStoreError)
      -> (any ChunkWriter)?
  ) async throws {
    var pending = Array(writers.indices)
    while !pending.isEmpty {
      let stores = draft.stores.map { engine.stores[$0] }
      let begun = BegunWriters()
      let settled = present.filter { !pending.contains($0) }
      let errors = await calls.run(
        pending, distant: distant, inline: inline, settled: settled, isEnough: { self.isEnough($0) }
      ) {
        index throws(ChunkStoreError) in
        guard let store = stores[index] else { throw .offline("unknown store") }
        begun.set(index, try await body(store, index))
      }
      for (index, writer) in begun.all { writers[index] = writer }
      try Task.checkCancellation()
      for index in pending { missing &= ~(1 << UInt32(index)) }
      for (index, error) in errors { await lose(index, error) }
      pending = try replaceMissing()
    }
  }

  /// Gives chunks that are missing other places until enough will be there; returns which.
  func replaceMissing() throws -> [Int] {
    var replaced: [Int] = []
    while missing != 0, !isEnough(present + replaced) {
      let lost = writers.indices.filter { isMissing($0) && !replaced.contains($0) }
      guard let index = lost.first,
        let spare = engine.stores.spare(
          draft.id, scheme: scheme, beside: (present + replaced).map { draft.stores[$0] },
          failed: failed)
      else { throw tooFew() }
      draft.stores[index] = spare
      replaced.append(index)
      if isDistant(spare) { distant.insert(index) } else { distant.remove(index) }
    }
    return replaced
  }

  // MARK: Losses

  private func isMissing(_ index: Int) -> Bool { missing & 1 << UInt32(index) != 0 }

  /// Chunks that are not missing.
  var present: [Int] { writers.indices.filter { !isMissing($0) } }

  /// Chunks of stores that block.
  private var near: Set<Int> { Set(writers.indices).subtracting(distant) }

  func isEnough(_ chunks: [Int]) -> Bool {
    ChunkLayout(scheme: scheme, ring: engine.stores.ring, stores: draft.stores).isEnough(chunks)
  }

  /// Counts a chunk as missing.
  func lose(_ index: Int, _ error: ChunkStoreError) async {
    await writers[index]?.abort()
    writers[index] = nil
    engine.stores.note(error, of: draft.stores[index])
    failed.insert(draft.stores[index])
    errors[index] = error
    missing |= 1 << UInt32(index)
  }

  func tooFew() -> EngineError {
    let isFull = errors.contains { isMissing($0.key) && $0.value == .full }
    return isFull
      ? .storesFull : .tooFewStores(available: present.count, needed: scheme.writeQuorum)
  }
}
