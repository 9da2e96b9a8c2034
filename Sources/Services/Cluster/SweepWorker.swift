import Base
public import ChunkStore
import Metadata
public import ObjectEngine
import Placement
import Runtime
import Synchronization
public import Telemetry

/// A store that keeps apart what was begun and never finished.
public protocol EpochSweeping: Sendable {
  /// Removes at most `limit` files that were begun and that nobody is writing any more; returns how
  /// many.
  func sweepUnfinished(limit: Int) async throws(ChunkStoreError) -> Int
}

extension LocalChunkStore: EpochSweeping {}
extension ReturningChunkStore: EpochSweeping {}

/// Deletes what writers that are gone left behind: chunks whose extent begins with a fenced epoch
/// and is named by nothing.
///
/// Such a writer can commit no more, so what is unnamed stays so. An epoch counts as swept only
/// when every store was listed to its end; stores that are away are listed when they are back.
/// A `DeletionHold` stops all of it.
public final class SweepWorker: BackgroundWorker {
  /// Chunks that one step looks at.
  static let pageSize = 512

  private struct Walk {
    var epochs: Set<UInt64> = []
    /// Stores that were listed to their end.
    var done: Set<StoreID> = []
    /// Stores that failed in this round.
    var failed: Set<StoreID> = []
    var position: ChunkListPosition?
    var isUnfinishedSwept = false
  }

  /// `sweep`.
  public let name = "sweep"
  private let engine: ObjectEngine
  private let interval: Duration
  /// Whether there are other processes, whose epochs may be later than this one's.
  private let isShared: Bool
  private let hold: DeletionHold
  private let log: Log
  private let walk = Mutex(Walk())
  private let count = ProgressCell()

  /// Sweeps the stores of `engine`, which must be all of the installation's, those that are away
  /// included, unless `hold` is in force. `isShared` says that there are other processes that write.
  public init(
    engine: ObjectEngine, interval: Duration = .seconds(60), isShared: Bool = false,
    hold: DeletionHold? = nil, log: Log
  ) {
    self.hold = hold ?? DeletionHold(metadata: engine.metadata)
    self.engine = engine
    self.isShared = isShared
    self.interval = interval
    self.log = log.named("sweep")
  }

  /// Items are chunks and unfinished files deleted.
  public var progress: WorkerProgress { count.value }

  /// Looks at one page of one store.
  public func step() async throws -> StepOutcome {
    let metadata = engine.metadata
    guard try await !hold.isInForce() else {
      count.add(0, detail: "held")
      return .idle(nextAfter: interval)
    }
    // Never a live one, whatever the metadata says.
    let own = engine.writer.epoch
    let fenced = try await metadata.unsweptEpochs()
    let epochs = Set(fenced.filter { isShared ? $0 != own : $0 < own })
    var walk = walk.withLock { $0 }
    // A new epoch may have chunks in stores that were listed before it was fenced.
    if walk.epochs != epochs { walk = Walk(epochs: epochs) }
    defer { self.walk.withLock { $0 = walk } }
    guard !epochs.isEmpty else {
      count.add(0, detail: "")
      return .idle(nextAfter: interval)
    }
    // A store that is lost is compared with the metadata before it counts again.
    let ring = engine.stores.ring
    let left = engine.stores.all.first {
      !walk.done.contains($0.id) && !walk.failed.contains($0.id)
        && ring.node($0.id)?.state != .inactive
    }
    guard let store = left else { return try await finish(&walk) }
    do throws(ChunkStoreError) {
      try await sweepPage(of: store, &walk)
    } catch {
      walk.failed.insert(store.id)
      walk.position = nil
      walk.isUnfinishedSwept = false
      if case .offline = error { return .busy }
      log.warning(
        "a store could not be swept and is tried again",
        [("store", "\(store.id)"), ("error", "\(error)")])
    }
    count.add(
      0, detail: "\(walk.done.count) of \(engine.stores.all.count) stores swept")
    return .busy
  }

  /// Stores that were done may have got more since.
  public func beginTerm() { walk.withLock { $0 = Walk() } }

  /// Every store was tried: the epochs are swept if none failed.
  private func finish(_ walk: inout Walk) async throws -> StepOutcome {
    guard walk.failed.isEmpty else {
      walk.failed = []
      return .idle(nextAfter: interval)
    }
    CrashPoint.reach(.sweepStoresDone)
    for epoch in walk.epochs.sorted() { try await engine.metadata.markSwept(epoch: epoch) }
    CrashPoint.reach(.sweepMarked)
    log.info("epochs swept", [("count", "\(walk.epochs.count)")])
    walk = Walk()
    return .busy
  }

  private func sweepPage(
    of store: any ChunkStore, _ walk: inout Walk
  ) async throws(ChunkStoreError) {
    if !walk.isUnfinishedSwept, let sweeping = store as? any EpochSweeping {
      let removed = try await sweeping.sweepUnfinished(limit: Self.pageSize)
      count.add(removed)
      if removed == Self.pageSize { return }
    }
    walk.isUnfinishedSwept = true
    let page = try await store.list(from: walk.position, limit: Self.pageSize)
    let epochs = walk.epochs
    let suspects = page.chunks.filter { epochs.contains($0.extent.epoch) }
    if !suspects.isEmpty {
      let named: Set<ExtentID>
      do {
        named = try await engine.metadata.named(among: Array(Set(suspects.map(\.extent))))
      } catch {
        throw .io("metadata: \(error)")
      }
      let unnamed = suspects.filter { !named.contains($0.extent) }
      if !unnamed.isEmpty {
        try await store.deleteLed(unnamed)
        CrashPoint.reach(.sweepChunksDeleted)
        count.add(unnamed.count)
      }
    }
    walk.position = page.next
    if page.next == nil {
      walk.done.insert(store.id)
      walk.isUnfinishedSwept = false
    }
  }
}
