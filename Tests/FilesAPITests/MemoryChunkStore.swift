import Base
import ChunkStore
import Runtime
import Synchronization

/// A chunk store in memory that can be made to fail.
final class MemoryChunkStore: ChunkStore {
  struct Chunk {
    var status: ChunkStatus
    var data: [UInt8]
  }

  struct State {
    var chunks: [ChunkID: Chunk] = [:]
    var fault: ChunkStoreError?
    var health = StoreHealth.State.active
  }

  let id: StoreID
  let state = Mutex(State())

  init(_ number: UInt64) {
    id = StoreID(high: 7, low: number)
  }

  var chunkCount: Int { state.withLock { $0.chunks.count } }

  func fail(_ error: ChunkStoreError?) { state.withLock { $0.fault = error } }

  private func locked<R>(_ body: (inout State) -> R) throws(ChunkStoreError) -> R {
    let result: Result<R, ChunkStoreError> = state.withLock { state in
      if let fault = state.fault { return .failure(fault) }
      return .success(body(&state))
    }
    return try result.get()
  }

  func put(_ header: ChunkHeader, _ data: [UInt8], _ trailer: ChunkTrailer) throws(ChunkStoreError)
  {
    try locked { state in
      state.chunks[header.id] = Chunk(
        status: ChunkStatus(header: header, trailer: trailer), data: data)
    }
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try put(header, data.bytes(range), trailer)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try locked { _ in }
    return Writer(self, header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    guard let chunk = try locked({ $0.chunks[id] }) else { throw .missing }
    return Reader(chunk)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try locked { state in ids.forEach { state.chunks[$0] = nil } }
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    guard let chunk = try locked({ $0.chunks[id] }) else { throw .missing }
    return chunk.status
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { _ = try await stat(id) }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    ChunkPage(chunks: try locked { Array($0.chunks.keys) }, next: nil)
  }

  func health() async -> StoreHealth {
    let (state, count) = state.withLock { ($0.health, $0.chunks.count) }
    return StoreHealth(
      state: state, reason: "", capacity: 1000, used: 100, free: 900, reserve: 10,
      chunkCount: count)
  }

  private final class Writer: ChunkWriter {
    private let store: MemoryChunkStore
    private let header: ChunkHeader
    private let data = Mutex<[UInt8]>([])

    init(_ store: MemoryChunkStore, _ header: ChunkHeader) {
      self.store = store
      self.header = header
    }

    func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
      data.withLock { $0 += buffer.bytes(range) }
    }

    func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
      try store.put(header, data.withLock { $0 }, trailer)
    }

    func abort() async {}
  }

  private final class Reader: ChunkReader {
    private let chunk: Chunk
    var trailer: ChunkTrailer { chunk.status.trailer }

    init(_ chunk: Chunk) { self.chunk = chunk }

    func read(
      _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
    ) async throws(ChunkStoreError) {
      guard range.upperBound <= chunk.data.count else { throw .corrupt("short") }
      buffer.copy(Array(chunk.data[range]), at: offset)
    }

    func close() {}
  }
}
