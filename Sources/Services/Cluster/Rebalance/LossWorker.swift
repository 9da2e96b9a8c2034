import Base
import ChunkStore
import Erasure
import Metadata
import ObjectEngine
import Placement
import Synchronization
import Telemetry

/// Declares stores lost that were away for too long, and queues the chunks of stores that are lost
/// or gone for repair, page by page.
///
/// No more servers than an extent has parity chunks are taken for lost at once: beyond that an
/// operator has to decide, since it is more likely that this process cannot reach them.
public final class LossWorker: BackgroundWorker {
  /// The settings of its walk begin with this.
  public static let walkName = "losses"
  /// Extents read from the metadata at once.
  static let pageSize = 256

  private struct State {
    /// The stores that took writes when it was last looked.
    var active: Set<StoreID> = []
    var ring: Int64 = 0
    /// Servers that were not declared lost since too many are.
    var undecided: Set<ServerID> = []
    /// What was away, and the ring, when none of it was declared lost: only a change is worth another
    /// attempt.
    var judged: (absent: [ServerID: [StoreID]], ring: Int64)?
  }

  /// `losses`.
  public let name = "losses"
  private let engine: ObjectEngine
  private let membership: ClusterMembership
  private let metadata: any ClusterMetadata
  private let walk: RingWalk
  private let interval: Duration
  private let log: Log
  private let state = Mutex(State())
  private let count = ProgressCell()

  init(
    engine: ObjectEngine, membership: ClusterMembership, interval: Duration = .seconds(5),
    log: Log
  ) {
    self.engine = engine
    self.membership = membership
    metadata = membership.metadata
    self.interval = interval
    self.log = log.named("losses")
    walk = RingWalk(name: Self.walkName, metadata: metadata, stores: engine.stores)
  }

  /// Items are extents queued; the detail names what an operator has to decide.
  public var progress: WorkerProgress { count.value }

  /// Goes on from what the metadata says.
  public func beginTerm() {
    walk.reset()
    state.withLock { $0 = State() }
  }

  /// Declares what is lost, and looks at a page of extents.
  public func step() async throws -> StepOutcome {
    try await declare()
    try await hasten()
    switch try await walk.next(limit: Self.pageSize) {
    case .notReady:
      try await membership.refresh()
      return .idle(nextAfter: min(interval, .seconds(1)))
    case .none: return .idle(nextAfter: interval)
    case .end:
      if try await walk.finish(isComplete: true) { return .throttled }
      return .idle(nextAfter: interval)
    case .extents(let extents):
      try await queue(extents)
      if let last = extents.last { try await walk.advance(past: last.id) }
      return .throttled
    }
  }

  private func declare() async throws {
    let candidates = membership.absent(for: membership.configuration.lossGrace)
    guard !candidates.isEmpty else {
      state.withLock { ($0.undecided, $0.judged) = ([], nil) }
      count.add(0, detail: "")
      return
    }
    let ring = engine.stores.ringVersion
    if let judged = state.withLock({ $0.judged }), judged == (candidates, ring) { return }
    // What other gateways heard of meanwhile counts too.
    try await membership.refresh()
    let confirmed = membership.absent(for: membership.configuration.lossGrace)
    var undecided: Set<ServerID> = []
    let limit = engine.configuration.scheme.parity
    for (server, stores) in confirmed.sorted(by: { $0.key < $1.key }) {
      if try await metadata.declareLost(stores, of: server, limit: limit) {
        log.error(
          "stores are taken for lost; their chunks are made again elsewhere",
          [("server", "\(server)"), ("stores", "\(stores.count)")])
      } else {
        undecided.insert(server)
      }
    }
    let isNew = state.withLock { state in
      defer {
        state.undecided = undecided
        state.judged = undecided.count == candidates.count ? (candidates, ring) : nil
      }
      return !undecided.isSubset(of: state.undecided)
    }
    let text = "\(undecided.count) more servers are away than may be taken for lost at once"
    if isNew {
      log.error(
        "more servers are away than may be taken for lost at once; an operator has to decide",
        [("servers", "\(undecided.count)")])
    }
    count.add(0, detail: undecided.isEmpty ? "" : text)
    try await membership.refresh()
  }

  /// Once there are more stores, what could not be repaired is worth trying again.
  private func hasten() async throws {
    let stores = engine.stores
    let active = Set(stores.all.map(\.id).filter { stores.state(of: $0) == .active })
    let ring = stores.ringVersion
    let before = state.withLock { $0 }
    guard !active.isSubset(of: before.active) || ring != before.ring else {
      state.withLock { $0.active = active }
      return
    }
    var last: ExtentID?
    repeat {
      last = try await metadata.hastenRepairs(after: last, limit: Self.pageSize)
    } while last != nil
    state.withLock { ($0.active, $0.ring) = (active, ring) }
  }

  private func queue(_ extents: [Extent]) async throws {
    let ring = engine.stores.ring
    var lost: [(extent: ExtentID, chunks: UInt32)] = []
    for extent in extents {
      var bits: UInt32 = 0
      for (index, store) in extent.stores.enumerated() where index < 32 {
        switch ring.node(store)?.state {
        case .inactive, nil: bits |= 1 << UInt32(index)
        case .active, .draining: break
        }
      }
      if bits != 0 { lost.append((extent.id, bits)) }
    }
    try await engine.metadata.queueRepairs(lost, reason: "its store is lost")
    count.add(lost.count)
  }
}
