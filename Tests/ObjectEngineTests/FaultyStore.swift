import Base
import ChunkStore
import Runtime
import Synchronization
import TestSupport

/// A store in memory that suspends as a distant one does, and hangs or fails where it is told to.
///
/// Calls that are well do not care whether their task was cancelled; those that hang end then.
final class FaultyStore: CancellableChunkStore {
  enum Step: Hashable, Sendable {
    case putSmall
    case beginChunk
    /// Which of a writer's.
    case append(Int)
    case finish
    case openChunk
    /// From where in the chunk.
    case read(Int)
    case delete
  }

  enum Fault: Hashable, Sendable {
    case hang
    case fail(ChunkStoreError)
  }

  typealias Rule = @Sendable (Step) -> Fault?

  private struct State {
    var chunks: [ChunkID: (status: ChunkStatus, data: [UInt8])] = [:]
    var rule: Rule?
    var calls: [Step: Int] = [:]
    var unfinished = 0
    var openReaders = 0
    var reads = 0
    var whatHasCome: (@Sendable (Int) -> Bool)?
    var hanging: [Int: CheckedContinuation<Void, Never>] = [:]
    var next = 0
  }

  let id: StoreID
  private let state = Mutex(State())

  init(id: StoreID) { self.id = id }

  /// From now on this decides over each call.
  func decide(_ rule: Rule?) { state.withLock { $0.rule = rule } }

  /// From now on this decides whether what chunks hold from an offset on has come already.
  func decideWhatHasCome(_ rule: (@Sendable (Int) -> Bool)?) {
    state.withLock { $0.whatHasCome = rule }
  }

  func calls(_ step: Step) -> Int { state.withLock { $0.calls[step] ?? 0 } }
  var hanging: Int { state.withLock { $0.hanging.count } }
  /// Reads that have brought what they were asked for.
  var reads: Int { state.withLock { $0.reads } }
  var chunks: Set<ChunkID> { state.withLock { Set($0.chunks.keys) } }
  /// Writers and readers that nobody has ended.
  var open: Int { state.withLock { $0.unfinished + $0.openReaders } }

  private func call(_ step: Step) async throws(ChunkStoreError) {
    let rule = state.withLock { state in
      state.calls[step, default: 0] += 1
      return state.rule
    }
    switch rule?(step) {
    case nil: return
    case .fail(let error): throw error
    case .hang:
      await hang()
      throw .offline("given up")
    }
  }

  private func hang() async {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isCancelled = state.withLock { state in
          if Task.isCancelled { return true }
          state.hanging[number] = continuation
          return false
        }
        if isCancelled { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.hanging.removeValue(forKey: number) }?.resume()
    }
  }

  private func keep(_ header: ChunkHeader, _ trailer: ChunkTrailer, _ data: [UInt8]) {
    state.withLock { state in
      state.chunks[header.id] = (ChunkStatus(header: header, trailer: trailer), data)
    }
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try await call(.putSmall)
    keep(header, trailer, data.bytes(range))
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await call(.beginChunk)
    state.withLock { $0.unfinished += 1 }
    return Writer(self, header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await call(.openChunk)
    guard let chunk = state.withLock({ $0.chunks[id] }) else { throw .missing }
    state.withLock { $0.openReaders += 1 }
    return Reader(self, chunk.status.trailer, chunk.data)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try await call(.delete)
    state.withLock { state in for id in ids { state.chunks[id] = nil } }
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    guard let chunk = state.withLock({ $0.chunks[id] }) else { throw .missing }
    return chunk.status
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { _ = try await stat(id) }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage { ChunkPage(chunks: chunks.sorted(), next: nil) }

  func health() async -> StoreHealth {
    StoreHealth(
      state: .active, reason: "", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
  }

  private final class Writer: ChunkWriter {
    private let store: FaultyStore
    private let header: ChunkHeader
    private let state = Mutex((data: [UInt8](), appends: 0, hasEnded: false))

    init(_ store: FaultyStore, _ header: ChunkHeader) {
      self.store = store
      self.header = header
    }

    func append(_ buffer: AlignedBuffer, _ range: Range<Int>) async throws(ChunkStoreError) {
      let number = state.withLock { state in
        defer { state.appends += 1 }
        return state.appends
      }
      try await store.call(.append(number))
      let bytes = buffer.bytes(range)
      state.withLock { $0.data += bytes }
    }

    func finish(_ trailer: ChunkTrailer) async throws(ChunkStoreError) {
      try await store.call(.finish)
      store.keep(header, trailer, state.withLock { $0.data })
      end()
    }

    func abort() async { end() }

    private func end() {
      let isFirst = state.withLock { state in
        defer { state.hasEnded = true }
        return !state.hasEnded
      }
      if isFirst { store.state.withLock { $0.unfinished -= 1 } }
    }
  }

  private final class Reader: ChunkReader {
    let trailer: ChunkTrailer
    private let store: FaultyStore
    private let data: [UInt8]
    private let isOpen = Mutex(true)

    init(_ store: FaultyStore, _ trailer: ChunkTrailer, _ data: [UInt8]) {
      self.store = store
      self.trailer = trailer
      self.data = data
    }

    func read(
      _ range: Range<Int>, into buffer: AlignedBuffer, at offset: Int
    ) async throws(ChunkStoreError) {
      try await store.call(.read(range.lowerBound))
      buffer.copy(Array(data[range]), at: offset)
      store.state.withLock { $0.reads += 1 }
    }

    /// Every other store does.
    func lend(_ range: Range<Int>) async throws(ChunkStoreError) -> (any LentBytes)? {
      guard store.id.low.isMultiple(of: 2) else { return nil }
      try await store.call(.read(range.lowerBound))
      return lent(range)
    }

    func lendAtOnce(_ range: Range<Int>) -> (any LentBytes)? {
      guard store.state.withLock({ $0.whatHasCome })?(range.lowerBound) == true else { return nil }
      return lent(range)
    }

    private func lent(_ range: Range<Int>) -> LentArray {
      store.state.withLock { $0.reads += 1 }
      return LentArray(Array(data[range]))
    }

    func close() {
      let wasOpen = isOpen.withLock { isOpen in
        defer { isOpen = false }
        return isOpen
      }
      if wasOpen { store.state.withLock { $0.openReaders -= 1 } }
    }
  }
}
