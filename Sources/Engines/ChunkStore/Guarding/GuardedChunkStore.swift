public import Base
public import Runtime

/// A store behind the circuit breaker of its server; calls that are safe to repeat are repeated.
///
/// Repeated are opening, reading a range, `stat`, `list`, `delete` and `verify`, after transient
/// errors only, as long as the request's deadline and its `ChunkCallPolicy` allow. Nothing of a
/// write is: once it was called, nobody can tell what was sent, and a writer that goes on with the
/// other chunks loses less than one that waits. A write that the breaker refuses fails before
/// anything was sent, so that its caller may turn to another store at once.
public struct GuardedChunkStore: CancellableChunkStore {
  /// The store's own id.
  public var id: StoreID { store.id }
  /// The breaker that the store shares with the others of its server.
  public let breaker: CircuitBreaker
  private let store: any ChunkStore
  private let gate: ChunkCallGate

  /// Guards `store`, which keeps the promises of a `CancellableChunkStore`.
  ///
  /// `verdict` says what an error tells about the server as a whole: a server of several stores may
  /// know better than by its kind alone.
  public init(
    _ store: any ChunkStore, breaker: CircuitBreaker, retry: RetryPolicy = RetryPolicy(),
    clock: any PauseClock = SystemPauseClock(), random: any RandomSource = SystemRandom(),
    verdict: @escaping @Sendable (ChunkStoreError) -> CircuitBreaker.Verdict = {
      CircuitBreaker.Verdict($0)
    }
  ) {
    self.store = store
    self.breaker = breaker
    gate = ChunkCallGate(
      breaker: breaker, retry: retry, clock: clock, random: random, verdict: verdict)
  }

  /// Once, through the breaker.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try await gate.once { () async throws(ChunkStoreError) in
      try await store.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    }
  }

  /// Once, through the breaker; what the writer does is counted too.
  public func beginChunk(
    _ header: ChunkHeader
  ) async throws(ChunkStoreError) -> any ChunkWriter {
    // A stream may begin without a word from the server.
    let writer = try await gate.once(showing: .unknown) { () async throws(ChunkStoreError) in
      try await store.beginChunk(header)
    }
    return GuardedChunkWriter(writer, gate: gate)
  }

  /// Repeated where it is allowed.
  public func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    let reader = try await gate.repeating { () async throws(ChunkStoreError) in
      try await store.openChunk(id)
    }
    return GuardedChunkReader(reader, gate: gate)
  }

  /// Repeated where it is allowed: deleting what is gone does nothing.
  public func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try await gate.repeating { () async throws(ChunkStoreError) in try await store.delete(ids) }
  }

  /// Repeated where it is allowed.
  public func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await gate.repeating { () async throws(ChunkStoreError) in try await store.stat(id) }
  }

  /// Repeated where it is allowed.
  public func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    try await gate.repeating { () async throws(ChunkStoreError) in try await store.verify(id) }
  }

  /// Repeated where it is allowed.
  public func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await gate.repeating { () async throws(ChunkStoreError) in
      try await store.list(from: position, limit: limit)
    }
  }

  /// Asks the store itself, whatever the breaker says: this is how a server is seen to be back.
  public func health() async -> StoreHealth { await store.health() }
}
