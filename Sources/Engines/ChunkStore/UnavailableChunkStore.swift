public import Base
public import Runtime

/// A store of the installation that cannot be opened: its chunks count as out of reach, not as
/// lost, and nothing is written to it.
public struct UnavailableChunkStore: ChunkStore {
  /// The id that the installation knows it by.
  public let id: StoreID
  private let reason: String

  /// Stands for the store `id`, which is away because of `reason`.
  public init(id: StoreID, reason: String) {
    self.id = id
    self.reason = reason
  }

  /// Throws `offline`.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) { throw .offline(reason) }

  /// Throws `offline`.
  public func beginChunk(
    _ header: ChunkHeader
  ) async throws(ChunkStoreError) -> any ChunkWriter { throw .offline(reason) }

  /// Throws `offline`.
  public func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    throw .offline(reason)
  }

  /// Throws `offline`.
  public func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) { throw .offline(reason) }

  /// Throws `offline`.
  public func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    throw .offline(reason)
  }

  /// Throws `offline`.
  public func verify(_ id: ChunkID) async throws(ChunkStoreError) { throw .offline(reason) }

  /// Throws `offline`.
  public func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage { throw .offline(reason) }

  /// Offline, with the reason.
  public func health() async -> StoreHealth {
    StoreHealth(
      state: .offline, reason: reason, capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
  }
}
