public import Base
public import ChunkStore
public import Runtime

/// A store that hands every call to another one, but for those that it answers itself.
public protocol ForwardingStore: ChunkStore {
  /// The other one.
  var inner: any ChunkStore { get }
}

extension ForwardingStore {
  /// That of the other one.
  public var id: StoreID { inner.id }

  /// As the other one does it.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try await inner.putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  /// As the other one does it.
  public func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await inner.beginChunk(header)
  }

  /// As the other one does it.
  public func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await inner.openChunk(id)
  }

  /// As the other one does it.
  public func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) { try await inner.delete(ids) }

  /// As the other one does it.
  public func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await inner.stat(id)
  }

  /// As the other one does it.
  public func verify(_ id: ChunkID) async throws(ChunkStoreError) { try await inner.verify(id) }

  /// As the other one does it.
  public func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await inner.list(from: position, limit: limit)
  }

  /// That of the other one.
  public func health() async -> StoreHealth { await inner.health() }
}
