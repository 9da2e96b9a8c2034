import Base
import ChunkStore
import Cluster
import Runtime
import Synchronization

/// A store that lets a test act, or fail, before something is asked of it, and that can be let go
/// of, whoever else refers to it.
final class HookedStore: ChunkStore, Compacting, EpochSweeping {
  enum Call: Hashable, Sendable {
    case putSmall(ChunkID)
    case beginChunk(ChunkID)
    case openChunk(ChunkID)
    case delete([ChunkID])
    case list
    case verify(ChunkID)
  }

  typealias Hook = @Sendable (Call) async throws(ChunkStoreError) -> Void

  let id: StoreID
  private let inner: Mutex<LocalChunkStore?>
  private let hook: Mutex<Hook?>

  init(_ store: LocalChunkStore) {
    id = store.id
    inner = Mutex(store)
    hook = Mutex(nil)
  }

  /// The store itself.
  func local() throws(ChunkStoreError) -> LocalChunkStore {
    guard let store = inner.withLock({ $0 }) else { throw .offline("closed") }
    return store
  }

  /// Shuts the store down and drops it, and with it its lock.
  func close() async {
    let store = inner.withLock { $0.take() }
    await store?.shutdown()
  }

  /// From now on `body` runs before each call.
  func intercept(_ body: Hook?) { hook.withLock { $0 = body } }

  private func call(_ call: Call) async throws(ChunkStoreError) {
    let body = hook.withLock { $0 }
    try await body?(call)
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try await call(.putSmall(header.id))
    try await local().putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await call(.beginChunk(header.id))
    return try await local().beginChunk(header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await call(.openChunk(id))
    return try await local().openChunk(id)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try await call(.delete(ids))
    try await local().delete(ids)
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await local().stat(id)
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    try await call(.verify(id))
    try await local().verify(id)
  }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await call(.list)
    return try await local().list(from: position, limit: limit)
  }

  func compactStep() async throws(ChunkStoreError) -> Bool { try await local().compactStep() }

  func sweepUnfinished(limit: Int) async throws(ChunkStoreError) -> Int {
    try await local().sweepUnfinished(limit: limit)
  }

  private static let closed = StoreHealth(
    state: .offline, reason: "closed", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)

  func health() async -> StoreHealth { await (try? local())?.health() ?? Self.closed }
}

/// Something that happens once.
final class Once: Sendable {
  private let isDone = Mutex(false)

  /// True for the first caller only.
  func first() -> Bool {
    isDone.withLock { isDone in
      defer { isDone = true }
      return !isDone
    }
  }

  var hasHappened: Bool { isDone.withLock { $0 } }
}
