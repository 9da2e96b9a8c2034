import Base
import ChunkStore
import Runtime
import Synchronization

/// A store that fails in one way, or holds up all that writes and reads until it is opened.
final class FaultyStore: ChunkStore {
  let id: StoreID
  let error: ChunkStoreError?
  let gate = Gate()
  let aborted = Atomic(0)
  let begun = Atomic(0)
  /// Deletions that have begun.
  let deleting = Atomic(0)
  /// What has ended, in order.
  let events = Mutex<[String]>([])

  init(id: StoreID = Sample.storeID, error: ChunkStoreError?) {
    self.id = id
    self.error = error
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) { try await pass() }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    if error != nil { try await pass() }
    begun.wrappingAdd(1, ordering: .relaxed)
    events.withLock { $0.append("begun") }
    return Writer(store: self)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    if error != nil { try await pass() }
    return Reader(id)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    deleting.wrappingAdd(1, ordering: .relaxed)
    try await pass()
    events.withLock { $0.append("deleted") }
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await pass()
    throw .missing
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { try await pass() }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await pass()
    return ChunkPage(chunks: [], next: nil)
  }

  func health() async -> StoreHealth {
    StoreHealth(
      state: .active, reason: "", capacity: 1, used: 0, free: 1, reserve: 0, chunkCount: 0)
  }

  private func pass() async throws(ChunkStoreError) {
    if let error { throw error }
    await gate.wait()
  }

  final class Writer: ChunkWriter {
    let store: FaultyStore
    init(store: FaultyStore) { self.store = store }

    func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
      try await store.pass()
    }
    func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) { try await store.pass() }
    func abort() async { store.aborted.wrappingAdd(1, ordering: .relaxed) }
  }

  /// A chunk of 4 GiB of zeros, whose checksums match for a name only.
  final class Reader: ChunkReader {
    static let length = 4 << 30
    let trailer: ChunkTrailer

    init(_ id: ChunkID) {
      trailer = ChunkTrailer(
        extentLength: Self.length, storedLength: Self.length, dataLength: Self.length,
        sha256: SHA256Digest([UInt8](repeating: 0, count: 32)).unsafelyUnwrapped,
        blockChecksums: [UInt32](repeating: 0, count: Self.length / 65_536), wrappedKey: [],
        descriptor: [])
    }

    func read(
      _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
    ) async throws(ChunkStoreError) {
      buffer.zero(offset..<offset + range.count)
    }
    func close() {}
  }
}

/// Holds tasks up until it is opened or they are cancelled.
final class Gate: Sendable {
  private let isOpen = Atomic(false)

  func open() { isOpen.store(true, ordering: .relaxed) }

  func wait() async {
    while !isOpen.load(ordering: .relaxed), !Task.isCancelled {
      try? await Task.sleep(for: .milliseconds(5))
    }
  }
}
