import Base
import ChunkStore
import Metadata
import ObjectEngine
import Synchronization
import Telemetry

/// Has stores that were lost, or had left, count again once they were compared with the metadata:
/// what they hold and should not is deleted, what they should hold and do not is queued for repair.
public final class ReconcileWorker: BackgroundWorker {
  private struct Walk {
    var store: StoreID
    var position: ChunkListPosition?
    var isListed = false
    var cursor: ExtentID?
    var missing = 0
    var strays = 0
  }

  /// `reconcile`.
  public let name = "reconcile"
  private let membership: ClusterMembership
  private let comparison: StoreComparison
  private let interval: Duration
  private let walk = Mutex<Walk?>(nil)
  private let count = ProgressCell()

  init(
    membership: ClusterMembership, comparison: StoreComparison,
    interval: Duration = .seconds(5)
  ) {
    self.membership = membership
    self.comparison = comparison
    self.interval = interval
  }

  /// Items are stores that count again.
  public var progress: WorkerProgress { count.value }

  /// Begins again.
  public func beginTerm() { walk.withLock { $0 = nil } }

  /// Looks at a page of one store.
  public func step() async throws -> StepOutcome {
    let stores = comparison.engine.stores
    // A store that is fenced or full holds chunks as well.
    let back = (membership.members?.stores ?? []).filter {
      $0.state == .lost && stores[$0.id] != nil && stores.state(of: $0.id) != .offline
    }
    var walk = walk.withLock { $0 }
    if let known = walk, !back.contains(where: { $0.id == known.store }) { walk = nil }
    guard var current = walk ?? back.first.map({ Walk(store: $0.id) }),
      let store = stores[current.store]
    else {
      self.walk.withLock { $0 = nil }
      count.add(0, detail: "")
      return .idle(nextAfter: interval)
    }
    let isDone = try await advance(&current, store)
    self.walk.withLock { $0 = isDone ? nil : current }
    guard isDone else {
      count.add(0, detail: "comparing a store that came back")
      return .throttled
    }
    try await membership.metadata.setStoreState(store.id, .active)
    try await membership.refresh()
    count.add(1)
    comparison.log.info(
      "a store counts again",
      [
        ("store", "\(store.id)"), ("missing", "\(current.missing)"),
        ("strays", "\(current.strays)"),
      ])
    return .busy
  }

  private func advance(_ walk: inout Walk, _ store: any ChunkStore) async throws -> Bool {
    if !walk.isListed {
      guard try await !comparison.hold.isInForce() else {
        walk.isListed = true
        return false
      }
      let outcome = try await comparison.examine(store, from: walk.position)
      walk.position = outcome.next
      walk.strays += outcome.strays + outcome.garbage
      walk.isListed = outcome.next == nil
      return false
    }
    let (last, missing) = try await comparison.queueMissing(in: store, after: walk.cursor)
    walk.missing += missing
    guard let last else { return true }
    walk.cursor = last
    return false
  }
}
