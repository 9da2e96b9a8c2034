import Base
import ChunkStore
import Metadata
public import ObjectEngine
import Runtime
import Synchronization
public import Telemetry

/// Deletes the chunks of extents that nothing owns any more.
///
/// A tombstone's chunks go once it is older than the delay and than the oldest read that runs, each
/// store's at once; the store is confirmed only after its delete is durable. Stores that do not
/// answer keep their chunks, and the tombstone stays for them, as it does for former copies that are
/// known. Other stores in which some may lie are asked too, once. Deletions and writes are in each
/// other's way: what comes due bit by bit is deleted bit by bit, with rests between the batches,
/// unless it falls behind.
public final class TombstoneWorker: BackgroundWorker {
  /// Tombstones that one step looks at, where nothing is in the way.
  package static let batch = 32
  /// Tombstones that one step looks at, where many wait for stores that are away.
  static let largestBatch = 16_384
  /// It has fallen behind when a whole batch has been due for longer than this.
  static let patience: Duration = .seconds(60)
  /// How soon it looks again after something was due.
  static let followUp: Duration = .seconds(1)

  /// `tombstones`.
  public let name = "tombstones"
  /// Three tenths of the time, unless it falls behind.
  public let dutyCycle = 0.3
  private let engine: ObjectEngine
  private let delayMilliseconds: Int64
  private let interval: Duration
  private let log: Log
  private let horizon: ReadHorizon
  /// Whether a store that is not among the engine's left the installation.
  private let hasLeft: @Sendable (StoreID) -> Bool
  /// Where chunks of extents may lie that no row says are there.
  private let strays: @Sendable (Set<ExtentID>) -> StrayPlaces
  private let limit = Mutex(TombstoneWorker.batch)
  private let count = ProgressCell()

  /// Deletes at the stores of `engine` what has been dead for `delay`.
  public convenience init(
    engine: ObjectEngine, delay: Duration = .seconds(900), interval: Duration = .seconds(10),
    log: Log
  ) {
    self.init(
      engine: engine, delay: delay, interval: interval,
      horizon: ReadHorizon(engine: engine, others: nil, lease: .zero), log: log)
  }

  /// The same, where other processes read too.
  init(
    engine: ObjectEngine, delay: Duration, interval: Duration, horizon: ReadHorizon,
    hasLeft: @escaping @Sendable (StoreID) -> Bool = { _ in false },
    strays: @escaping @Sendable (Set<ExtentID>) -> StrayPlaces = { _ in StrayPlaces() }, log: Log
  ) {
    self.engine = engine
    self.hasLeft = hasLeft
    self.strays = strays
    self.horizon = horizon
    delayMilliseconds = max(0, delay.wholeMilliseconds)
    self.interval = interval
    self.log = log.named("tombstones")
  }

  /// Items are chunks deleted.
  public var progress: WorkerProgress { count.value }

  /// Handles a batch of tombstones.
  public func step() async throws -> StepOutcome {
    let limit = limit.withLock { $0 }
    let cutoff = try await horizon.cutoff(delayMilliseconds: delayMilliseconds)
    let tombstones = try await engine.metadata.tombstones(before: cutoff, limit: limit)
    let confirmed = try await delete(tombstones)
    count.add(
      confirmed, detail: tombstones.count < limit ? "" : "more than \(limit) tombstones are due")
    guard tombstones.count == limit else {
      self.limit.withLock { $0 = Self.batch }
      return .idle(nextAfter: confirmed > 0 ? min(interval, Self.followUp) : interval)
    }
    if confirmed > 0, let last = tombstones.last {
      let lag = cutoff.milliseconds - last.created.milliseconds
      return .milliseconds(lag) > Self.patience ? .busy : .throttled
    }
    // Those at the front wait for stores that are away: look past them.
    guard limit < Self.largestBatch else { return .idle(nextAfter: interval) }
    self.limit.withLock { $0 = min(limit * 4, Self.largestBatch) }
    return .busy
  }

  /// What stores are asked to delete.
  private struct Orders {
    /// A store's chunks, with the places of their tombstones.
    var chunks: [StoreID: [(tombstone: Int, chunk: ChunkID)]] = [:]
    /// What some stores are asked besides; that it is gone there is not waited for.
    var anywhere: [ChunkID] = []
    /// Those stores.
    var others: Set<StoreID> = []

    /// What `store` is asked.
    func ids(_ store: StoreID) -> [ChunkID] {
      chunks[store, default: []].map(\.chunk) + (others.contains(store) ? anywhere : [])
    }
  }

  private func orders(_ tombstones: [Tombstone]) -> Orders {
    let strays = strays(Set(tombstones.map(\.extent)))
    var orders = Orders()
    orders.others = Set(strays.unwalked.filter { engine.stores.state(of: $0) != .offline })
    for (position, tombstone) in tombstones.enumerated() {
      let isNew = tombstone.unconfirmed.nonzeroBitCount == tombstone.stores.count
      for (index, store) in tombstone.stores.enumerated()
      where index < 32 && tombstone.unconfirmed & 1 << UInt32(index) != 0 {
        let chunk = ChunkID(extent: tombstone.extent, index: UInt8(index))
        for place in Set([store] + strays.known[chunk, default: []]) {
          orders.chunks[place, default: []].append((position, chunk))
        }
        if isNew { orders.anywhere.append(chunk) }
      }
    }
    return orders
  }

  /// Deletes what can be; returns how many chunks are gone.
  private func delete(_ tombstones: [Tombstone]) async throws -> Int {
    let orders = orders(tombstones)
    let outcomes = await carryOut(orders)
    var confirmed = [UInt32](repeating: 0, count: tombstones.count)
    var left = confirmed
    for (store, chunks) in orders.chunks {
      let error = outcomes[store] ?? .offline("no answer")
      if let error { note(error, of: store) }
      for (position, chunk) in chunks {
        let bit = UInt32(1) << UInt32(chunk.index)
        if error == nil { confirmed[position] |= bit } else { left[position] |= bit }
      }
    }
    let confirmations = tombstones.indices.compactMap { position in
      let chunks = confirmed[position] & ~left[position]
      return chunks == 0 ? nil : (extent: tombstones[position].extent, chunks: chunks)
    }
    guard !confirmations.isEmpty else { return 0 }
    CrashPoint.reach(.cleanupChunksDeleted)
    try await engine.metadata.confirm(confirmations)
    CrashPoint.reach(.cleanupConfirmed)
    return confirmations.reduce(0) { $0 + $1.chunks.nonzeroBitCount }
  }

  private func carryOut(_ orders: Orders) async -> [StoreID: ChunkStoreError?] {
    await withTaskGroup(of: (StoreID, ChunkStoreError?).self) { group in
      // In the order of the stores: nothing depends on how they are hashed.
      for store in orders.others.union(orders.chunks.keys).sorted() {
        let ids = orders.ids(store)
        guard !ids.isEmpty else { continue }
        group.addTask(executorPreference: engine.pool) { [engine, hasLeft] in
          guard let target = engine.stores[store] else {
            // Gone for good, with all that it held; where nobody leaves, a store may be unknown yet.
            return (store, hasLeft(store) ? nil : .offline("unknown store"))
          }
          do throws(ChunkStoreError) {
            try await target.deleteLed(ids)
            return (store, nil)
          } catch {
            return (store, error)
          }
        }
      }
      return await group.reduce(into: [StoreID: ChunkStoreError?]()) { $0[$1.0] = $1.1 }
    }
  }

  private func note(_ error: ChunkStoreError, of store: StoreID) {
    switch error {
    case .offline, .fenced: break
    case .missing, .corrupt, .full, .tooLarge, .io:
      log.warning(
        "chunks could not be deleted and are tried again",
        [("store", "\(store)"), ("error", "\(error)")])
    }
  }
}
