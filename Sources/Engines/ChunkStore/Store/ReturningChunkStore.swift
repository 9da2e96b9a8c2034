public import Base
public import Runtime
internal import Synchronization

/// A store of this machine whose directory may vanish and come back while the process lives.
///
/// While it is away, every call throws `offline`. Once the directory holds the same store again, as
/// `reopen` finds it, it is opened anew and in use: what it missed or has lost since is for its
/// owner to find out (`onReturn`). A store that is fenced stays so.
public final class ReturningChunkStore: ChunkStore {
  private struct State {
    /// Nil while it is away.
    var store: LocalChunkStore?
    var reason: String
    var isClosed = false
  }

  /// The store.
  public let id: StoreID
  private let interval: Duration
  private let reopen: @Sendable () throws(ChunkStoreError) -> LocalChunkStore
  private let onReturn: @Sendable (StoreID) -> Void
  private let state: Mutex<State>

  /// Serves `store`, or none for now, for that `reason`. While it is away, `run` calls `reopen`
  /// every `interval`, which may block, and `onReturn` when it is back.
  public init(
    _ id: StoreID, _ store: LocalChunkStore?, reason: String = "",
    interval: Duration = .seconds(1), onReturn: @escaping @Sendable (StoreID) -> Void,
    reopen: @escaping @Sendable () throws(ChunkStoreError) -> LocalChunkStore
  ) {
    self.id = id
    self.interval = interval
    self.reopen = reopen
    self.onReturn = onReturn
    state = Mutex(State(store: store, reason: reason))
  }

  /// Whether it is there.
  public var isPresent: Bool { state.withLock { $0.store != nil } }

  private func present() throws(ChunkStoreError) -> LocalChunkStore {
    let (store, reason) = state.withLock { ($0.store, $0.reason) }
    guard let store else { throw .offline(reason) }
    return store
  }

  // MARK: Life

  /// Does the store's housekeeping, and takes it back when it was away, until `shutdown` or the
  /// cancellation of the task. On an executor that may block; one task runs it.
  public func run() async {
    while !Task.isCancelled, !state.withLock({ $0.isClosed }) {
      if let store = try? present() {
        await keep(store)
        await letGo(of: store)
      } else if (try? await Task.sleep(for: interval)) != nil {
        takeBack()
      }
    }
  }

  /// Runs the store until it is offline, or the task is cancelled.
  private func keep(_ store: LocalChunkStore) async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await store.run() }
      group.addTask { [interval] in
        while !store.isOffline, (try? await Task.sleep(for: interval)) != nil {}
      }
      // Its housekeeping may end before, when it takes no writes any more.
      while !store.isOffline, await group.next() != nil {}
      group.cancelAll()
    }
  }

  /// Closes a store that is offline: its files and its lock go with the last call that uses them.
  private func letGo(of store: LocalChunkStore) async {
    guard case .offline(let reason) = store.guardian.condition else { return }
    let isOurs = state.withLock { state in
      guard !state.isClosed else { return false }
      state.store = nil
      state.reason = reason
      return true
    }
    if isOurs { await store.shutdown() }
  }

  private func takeBack() {
    do throws(ChunkStoreError) {
      let store = try reopen()
      guard store.id == id else { throw .offline("the directory holds another store") }
      let isOurs = state.withLock { state in
        guard !state.isClosed else { return false }
        state.store = store
        return true
      }
      if isOurs { onReturn(id) }
    } catch {
      guard case .offline(let reason) = error else { return }
      state.withLock { $0.reason = reason }
    }
  }

  /// Makes everything durable and closes the store for good.
  public func shutdown() async {
    let store = state.withLock { state in
      state.isClosed = true
      state.reason = "the store is shut down"
      return state.store
    }
    guard let store else { return }
    try? await store.checkpoint(always: false)
    await store.shutdown()
  }

  /// As `LocalChunkStore.compactStep`.
  public func compactStep() async throws(ChunkStoreError) -> Bool {
    try await present().compactStep()
  }

  /// As `LocalChunkStore.sweepUnfinished`.
  public func sweepUnfinished(limit: Int) async throws(ChunkStoreError) -> Int {
    try await present().sweepUnfinished(limit: limit)
  }

  // MARK: Chunks

  /// As `LocalChunkStore`.
  public func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    try await present().putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  /// As `LocalChunkStore`.
  public func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await present().beginChunk(header)
  }

  /// As `LocalChunkStore`.
  public func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await present().openChunk(id)
  }

  /// As `LocalChunkStore`.
  public func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    try await present().delete(ids)
  }

  /// As `LocalChunkStore`.
  public func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await present().stat(id)
  }

  /// As `LocalChunkStore`.
  public func verify(_ id: ChunkID) async throws(ChunkStoreError) {
    try await present().verify(id)
  }

  /// As `LocalChunkStore`.
  public func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await present().list(from: position, limit: limit)
  }

  /// As `LocalChunkStore`; offline while it is away.
  public func health() async -> StoreHealth {
    let (store, reason) = state.withLock { ($0.store, $0.reason) }
    guard let store else { return await UnavailableChunkStore(id: id, reason: reason).health() }
    return await store.health()
  }
}

extension LocalChunkStore {
  /// Whether it serves nothing any more.
  var isOffline: Bool {
    if case .offline = guardian.condition { return true }
    return false
  }
}
