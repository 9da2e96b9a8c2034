public import Base
public import ChunkStore
public import Metadata
public import ObjectEngine
import Placement
public import Runtime
import Synchronization
public import Telemetry

/// The storage servers as one gateway sees them: keeps connections to them, asks them how they are,
/// and tells the engine which stores there are and which of them take writes.
///
/// Usable from any task.
public final class ClusterMembership: Sendable {
  /// What this gateway knows of a server.
  struct Sight: Sendable {
    /// What it said when it last answered.
    var health: StorageServerHealth?
    /// Why it does not answer; nil when it did.
    var reason: String?
  }

  struct State {
    var members: Membership?
    var addresses: [ServerID: String] = [:]
    var connections: [ServerID: any StorageServerConnection] = [:]
    var sights: [ServerID: Sight] = [:]
    /// Since when stores do not answer, by the process's clock.
    var absentSince: [StoreID: Duration] = [:]
    /// The rounds that followed each other without a gap and with the database at hand.
    var observation: (since: Duration, last: Duration)?
    var lastRefresh: Duration?
    /// What was recorded of the stores' usage, and when.
    var usage: [StoreID: StoreUsage] = [:]
  }

  let metadata: any ClusterMetadata
  let stores: StoreSet
  let configuration: BackgroundConfiguration
  let clock: any MonotonicClock
  let cluster: ClusterID
  let log: Log
  private let connecting: any StorageServerConnecting
  let width: Int
  let sleeping: any Clock<Duration>
  let state = Mutex(State())

  /// Keeps `stores` up to date with the members in `metadata`, whose extents have `width` chunks.
  ///
  /// `clock` measures how long servers are away; `sleeping` ends polls that take too long.
  public init(
    metadata: any ClusterMetadata, connecting: any StorageServerConnecting, stores: StoreSet,
    cluster: ClusterID, width: Int,
    configuration: BackgroundConfiguration = BackgroundConfiguration(),
    clock: any MonotonicClock = SystemMonotonicClock(),
    sleeping: any Clock<Duration> = ContinuousClock(), log: Log
  ) {
    self.metadata = metadata
    self.connecting = connecting
    self.stores = stores
    self.cluster = cluster
    self.width = width
    self.configuration = configuration
    self.clock = clock
    self.sleeping = sleeping
    self.log = log.named("membership")
  }

  /// Adds a storage server, or brings what is known of it up to date, and goes by it at once.
  ///
  /// Throws `preconditionFailed` when a new one is to take the place of a server that gateways
  /// have heard of lately: no storage server may push out another.
  public func register(_ server: StorageServerRegistration) async throws {
    if let replacing = server.replacing, replacing != server.id {
      let members = try await metadata.members()
      let isNew = members.servers.first { $0.id == server.id }.map { $0.state == .left } ?? true
      let old = members.servers.first { $0.id == replacing }
      let limit = configuration.inactiveAfter.wholeMilliseconds
      if isNew {
        guard let old else { throw MetadataError.notFound("storage server to be replaced") }
        guard
          old.state == .left
            || members.time.milliseconds - old.lastHeartbeat.milliseconds >= limit
        else { throw MetadataError.preconditionFailed }
      }
    }
    try await metadata.register(server)
    try await refresh()
  }

  /// Reads the members and goes by them.
  public func refresh() async throws {
    let members = try await metadata.members()
    for connection in apply(members) { await connection.close() }
  }

  /// Ends all connections.
  public func close() async {
    let connections = state.withLock { state in
      defer { state.connections = [:] }
      return state.connections
    }
    for connection in connections.values { await connection.close() }
  }

  /// The members as they were last read; nil before the first time.
  public var members: Membership? { state.withLock { $0.members } }

  /// Whether a store left the installation for good.
  func hasLeft(_ store: StoreID) -> Bool {
    state.withLock { state in
      state.members?.stores.contains { $0.id == store && $0.state == .left } ?? false
    }
  }

  /// Goes by `members` unless newer ones are known; returns connections that are of no use any more.
  private func apply(_ members: Membership) -> [any StorageServerConnection] {
    let now = clock.now
    return state.withLock { state in
      guard members.ringVersion >= state.members?.ringVersion ?? 0 else { return [] }
      var former = state.connections
      state.connections = [:]
      for server in members.servers where server.state != .left {
        if state.addresses[server.id] == server.address,
          let known = former.removeValue(forKey: server.id)
        {
          state.connections[server.id] = known
        } else {
          state.connections[server.id] = connecting.connect(
            to: server.address, server: server.id)
        }
        state.addresses[server.id] = server.address
      }
      state.sights = state.sights.filter { state.connections[$0.key] != nil }
      let isNew = state.members?.ringVersion != members.ringVersion
      state.members = members
      state.lastRefresh = now
      if isNew { show(members, state) }
      noteSilent(members, state)
      return Array(former.values)
    }
  }

  /// Tells the engine.
  private func show(_ members: Membership, _ state: State) {
    var reachable: [any ChunkStore] = []
    var nodes: [PlacementNode] = []
    let servers = Dictionary(
      members.servers.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    for store in members.stores where store.state != .left {
      guard let server = servers[store.server], server.state != .left,
        let connection = state.connections[server.id]
      else { continue }
      reachable.append(connection.store(store.id))
      let standing: PlacementNode.State =
        store.state == .lost ? .inactive : server.state == .draining ? .draining : .active
      nodes.append(
        PlacementNode(
          id: store.id, server: server.id.description, zone: server.zone, weight: store.weight,
          state: standing))
    }
    stores.update(
      stores: reachable, ring: PlacementRing(nodes: nodes, width: width),
      ringVersion: members.ringVersion)
  }

  /// Servers that no gateway heard of lately are not written to before they answered this one.
  private func noteSilent(_ members: Membership, _ state: State) {
    let limit = configuration.inactiveAfter.wholeMilliseconds
    for server in members.servers where state.sights[server.id] == nil {
      guard members.time.milliseconds &- server.lastHeartbeat.milliseconds > limit else {
        continue
      }
      for store in members.stores where store.server == server.id {
        stores.observe(.offline, of: store.id)
      }
    }
  }
}
