import Base
import ChunkStore
import Runtime
import Synchronization

/// A store that keeps the descriptions of chunks of zeros, and none of their data.
final class EmptyStore: ChunkStore {
  let id: StoreID
  private let trailers = Mutex<[ChunkID: ChunkTrailer]>([:])

  init(id: StoreID) { self.id = id }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    trailers.withLock { $0[header.id] = trailer }
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    Writer(store: self, id: header.id)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    guard let trailer = trailers.withLock({ $0[id] }) else { throw .missing }
    return Reader(trailer: trailer)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {}

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus { throw .missing }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) {}

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage { ChunkPage(chunks: [], next: nil) }

  func health() async -> StoreHealth {
    StoreHealth(
      state: .active, reason: "", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
  }

  private final class Writer: ChunkWriter {
    let store: EmptyStore
    let id: ChunkID

    init(store: EmptyStore, id: ChunkID) {
      self.store = store
      self.id = id
    }

    func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {}

    func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
      store.trailers.withLock { $0[id] = trailer }
    }

    func abort() async {}
  }

  private final class Reader: ChunkReader {
    let trailer: ChunkTrailer

    init(trailer: ChunkTrailer) { self.trailer = trailer }

    func read(
      _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
    ) async throws(ChunkStoreError) {
      buffer.zero(offset..<offset + range.count)
    }

    func close() {}
  }
}
