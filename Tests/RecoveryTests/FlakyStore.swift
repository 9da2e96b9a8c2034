import Base
import ChunkStore
import Metadata
import Runtime
import Synchronization
import TestSupport

/// A store that a test makes refuse pieces of the change log, before or after it has written them,
/// or be full.
final class FlakyStore: ForwardingStore {
  enum Fault: Sendable {
    case none
    case refuses
    /// Writes and then fails, as when an answer is lost.
    case losesAnswer
    /// Takes only what may go into the reserve.
    case full
  }

  let inner: any ChunkStore
  private let current = Mutex(Fault.none)
  private let seen = Mutex<[CallStamp?]>([])

  init(_ inner: any ChunkStore) { self.inner = inner }

  var fault: Fault {
    get { current.withLock { $0 } }
    set { current.withLock { $0 = newValue } }
  }

  /// The stamps of all deletions.
  var stamps: [CallStamp?] { seen.withLock { $0 } }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    var isLog = false
    if case .changeLog? = SystemExtentID(header.id.extent) { isLog = true }
    if case .full = fault, space != .reserve { throw .full }
    // As a store behind a network, whose calls end with the task.
    if isLog, Task.isCancelled { throw .offline("the call was cancelled") }
    if isLog, case .refuses = fault { throw .io("refused by the test") }
    try await inner.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    if isLog, case .losesAnswer = fault { throw .io("the answer is lost") }
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    if case .full = fault { throw .full }
    return try await inner.beginChunk(header)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    seen.withLock { $0.append(ChunkCallPolicy.stamping?.stamp) }
    try await inner.delete(ids)
  }

  func health() async -> StoreHealth {
    var health = await inner.health()
    if case .full = fault { health.state = .full }
    return health
  }
}
