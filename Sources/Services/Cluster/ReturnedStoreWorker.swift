public import Base
import ChunkStore
public import Metadata
public import ObjectEngine
import Synchronization
public import Telemetry

/// Compares stores of this machine that have come back with the metadata: a store may be an older
/// copy of itself, or have lost something. What it should hold and does not is queued for repair,
/// and repairs that waited for it are tried again. Nothing is deleted.
public final class ReturnedStoreWorker: BackgroundWorker {
  /// Extents read from the metadata at once.
  private static let pageSize = 256

  private struct State {
    var waiting: [StoreID] = []
    /// Where the walk for the first of them is.
    var cursor: ExtentID?
    var missing = 0
  }

  /// `returned-stores`.
  public let name = "returned-stores"
  private let engine: ObjectEngine
  private let metadata: any MembershipStore
  private let interval: Duration
  private let log: Log
  private let state = Mutex(State())
  private let count = ProgressCell()

  /// Works for `engine`, whose metadata are `metadata`; looks every `interval` for new ones.
  public init(
    engine: ObjectEngine, metadata: any MembershipStore, interval: Duration = .seconds(1), log: Log
  ) {
    self.engine = engine
    self.metadata = metadata
    self.interval = interval
    self.log = log.named("returned-stores")
  }

  /// Items are stores that were compared.
  public var progress: WorkerProgress { count.value }

  /// Takes note that a store has come back.
  public func add(_ store: StoreID) {
    state.withLock { state in
      if state.waiting.first == store { state.cursor = nil }
      if !state.waiting.contains(store) { state.waiting.append(store) }
    }
  }

  /// Looks at a page of extents for the first of the stores.
  public func step() async throws -> StepOutcome {
    let (first, cursor) = state.withLock { ($0.waiting.first, $0.cursor) }
    guard let first else { return .idle(nextAfter: interval) }
    if cursor == nil {
      _ = await engine.stores.refresh()
      count.add(0, detail: "comparing a store that came back")
    }
    // One that is away again is compared when it is back.
    guard let store = engine.stores[first], engine.stores.state(of: first) != .offline else {
      finish(first)
      return .busy
    }
    let (last, missing) = try await MissingChunks(engine: engine)
      .queue(in: store, after: cursor, limit: Self.pageSize)
    if let last {
      state.withLock { state in
        // Meanwhile it may have gone and come back.
        if state.cursor == cursor { state.cursor = last }
        state.missing += missing
      }
      return .throttled
    }
    var repaired: ExtentID?
    repeat {
      repaired = try await metadata.hastenRepairs(after: repaired, limit: Self.pageSize)
    } while repaired != nil
    log.info(
      "a store that came back was compared with the metadata",
      [("store", "\(first)"), ("missing", "\(state.withLock { $0.missing })")])
    finish(first)
    count.add(1)
    return .busy
  }

  private func finish(_ store: StoreID) {
    state.withLock { state in
      state.waiting.removeAll { $0 == store }
      state.cursor = nil
      state.missing = 0
    }
    count.add(0, detail: "")
  }
}
