public import Base
import ChunkStore
public import Metadata
import ObjectEngine
import Placement
import Synchronization

/// What an operator sees of a storage server.
public struct StorageServerStatus: Hashable, Sendable {
  /// What the gateway that was asked knows of it.
  public enum Health: Hashable, Sendable {
    /// It answers.
    case active
    /// It does not; why.
    case inactive(reason: String)
    /// Its stores were away for too long: their chunks are made again elsewhere.
    case lost
    /// It left.
    case left
  }

  /// One of its stores.
  public struct Store: Hashable, Sendable {
    /// What the metadata says of it.
    public var record: StoreRecord
    /// Whether it takes writes: `active`, `full`, `fenced` or `offline`.
    public var health: String
    /// Bytes of its device, as last heard.
    public var capacity: Int64
    /// Bytes of them in use.
    public var used: Int64
    /// Bytes that may still be written.
    public var free: Int64
    /// Chunks that it keeps.
    public var chunks: Int64
  }

  /// What the metadata says of it.
  public var record: StorageServerRecord
  /// How it is.
  public var health: Health
  /// How long ago a gateway last heard of it, by the database's clock.
  public var heartbeatAge: Duration
  /// Its stores, in order, those that left not included.
  public var stores: [Store]
  /// Whether it is being emptied, and was found to hold no chunk at all, nor will get one.
  public var isDrained: Bool
}

/// How far the work is that a change of members sets off.
public struct RebalanceStatus: Hashable, Sendable {
  /// The present ring.
  public var ringVersion: Int64
  /// The oldest ring that a live writer may still write by.
  public var acknowledgedRing: Int64
  /// The newest ring to which all chunks were moved.
  public var balancedRing: Int64
  /// The newest ring for which the chunks of lost stores were queued.
  public var queuedRing: Int64
  /// Extents waiting for repair.
  public var repairs: Int64

  /// Whether all chunks are where the ring wants them.
  public var isBalanced: Bool { balancedRing >= ringVersion && acknowledgedRing >= ringVersion }
}

/// Why an operator's order is not carried out.
public enum ClusterAdministrationError: Error, Hashable, Sendable {
  /// No such server or store.
  case notFound(String)
  /// The server still holds chunks, or may get some: drain it first, or remove it by force.
  case notDrained
  /// A weight is 1 to 10,000.
  case badWeight
  /// What was ordered makes no sense; why.
  case refused(String)
}

/// What operators do with the members of a cluster. Any gateway carries it out.
public struct ClusterAdministration: Sendable {
  private let membership: ClusterMembership
  private let leadership: Leadership?
  private var metadata: any ClusterMetadata { membership.metadata }

  /// Administers the members of `membership`; `leadership` tells who does the background work.
  public init(_ membership: ClusterMembership, leadership: Leadership? = nil) {
    self.membership = membership
    self.leadership = leadership
  }

  /// Whether the gateway that is asked does the background work of all.
  public var leads: Bool { leadership?.lease != nil }

  /// All servers by id, those that left included.
  public func servers() async throws -> [StorageServerStatus] {
    try await membership.refresh()
    guard let members = membership.members else { return [] }
    let status = try await rebalance()
    let sights = membership.state.withLock { $0.sights }
    let empty = try await emptyStores(members)
    return members.servers.map { server in
      let sight = sights[server.id]
      let reported = Dictionary(
        (sight?.health?.stores ?? []).map { ($0.id, $0.health) },
        uniquingKeysWith: { first, _ in first })
      let records = members.stores.filter { $0.server == server.id && $0.state != .left }
      let stores = records.map { record in
        let health = reported[record.id]
        let capacity = health.map { Int64($0.capacity) } ?? record.capacity
        let free = health.map { Int64($0.free) } ?? record.available
        return StorageServerStatus.Store(
          record: record, health: membership.stores.state(of: record.id).rawValue,
          capacity: capacity, used: health.map { Int64($0.used) } ?? max(0, capacity - free),
          free: free, chunks: health.map { Int64($0.chunkCount) } ?? record.chunkCount)
      }
      let isEmpty = stores.allSatisfy { store in
        empty.contains(store.record.id) && reported[store.record.id]?.chunkCount ?? 0 == 0
      }
      return StorageServerStatus(
        record: server, health: Self.health(of: server, records, sight),
        heartbeatAge: .milliseconds(
          max(0, members.time.milliseconds &- server.lastHeartbeat.milliseconds)),
        stores: stores,
        isDrained: server.state == .draining && status.isBalanced && isEmpty)
    }
  }

  /// The stores of servers being drained that were found empty after all chunks had been moved.
  private func emptyStores(_ members: Membership) async throws -> Set<StoreID> {
    let draining = Set(members.servers.filter { $0.state == .draining }.map(\.id))
    var result: Set<StoreID> = []
    for store in members.stores where draining.contains(store.server) && store.state != .left {
      let ring = try await metadata.setting(StrayWorker.emptySetting(store.id)) ?? []
      if RingWalk.number(ring) ?? 0 >= members.ringVersion { result.insert(store.id) }
    }
    return result
  }

  private static func health(
    of server: StorageServerRecord, _ stores: [StoreRecord], _ sight: ClusterMembership.Sight?
  ) -> StorageServerStatus.Health {
    if server.state == .left { return .left }
    if !stores.isEmpty, stores.allSatisfy({ $0.state == .lost }) { return .lost }
    guard let sight else { return .inactive(reason: "not asked yet") }
    return sight.reason.map { .inactive(reason: $0) } ?? .active
  }

  /// How far repair and rebalance are with the present ring.
  public func rebalance() async throws -> RebalanceStatus {
    let ring = try await metadata.ringVersion()
    return RebalanceStatus(
      ringVersion: ring,
      acknowledgedRing: try await metadata.liveWriters().map(\.ringVersion).min() ?? ring,
      balancedRing: try await RingWalk.finishedRing(RebalanceWorker.walkName, metadata),
      queuedRing: try await RingWalk.finishedRing(LossWorker.walkName, metadata),
      repairs: try await metadata.counts().repairs)
  }

  /// Has a server emptied: it is read, not written to, and its chunks move to others.
  public func drain(_ server: ServerID) async throws {
    guard try await record(of: server).state != .left else {
      throw ClusterAdministrationError.refused("the server has left")
    }
    try await change { try await metadata.setServerState(server, .draining) }
  }

  /// Has a server that is being emptied take writes again.
  public func undoDrain(_ server: ServerID) async throws {
    guard try await record(of: server).state == .draining else {
      throw ClusterAdministrationError.refused("the server is not being drained")
    }
    try await change { try await metadata.setServerState(server, .active) }
  }

  /// Has a server leave for good: one that is drained, or with `force` any, whose chunks are then
  /// made again elsewhere out of their siblings.
  public func remove(_ server: ServerID, force: Bool) async throws {
    if !force {
      let status = try await servers().first { $0.record.id == server }
      guard let status else { throw ClusterAdministrationError.notFound("storage server") }
      guard status.isDrained else { throw ClusterAdministrationError.notDrained }
    }
    try await change { try await metadata.setServerState(server, .left) }
  }

  /// Changes the share of the data that a store gets.
  public func setWeight(_ store: StoreID, _ weight: Int) async throws {
    guard (1...PlacementNode.maximumWeight).contains(weight) else {
      throw ClusterAdministrationError.badWeight
    }
    try await change { try await metadata.setStoreWeight(store, weight) }
  }

  /// The same for all stores of a server.
  public func setWeight(ofServer server: ServerID, _ weight: Int) async throws {
    _ = try await record(of: server)
    try await membership.refresh()
    for store in membership.members?.stores ?? []
    where store.server == server && store.state != .left {
      try await setWeight(store.id, weight)
    }
  }

  /// Takes a server that does not answer for lost now, whatever the rule of how many may be.
  public func declareLost(_ server: ServerID) async throws {
    _ = try await record(of: server)
    try await membership.refresh()
    let stores = (membership.members?.stores ?? []).filter {
      $0.server == server && $0.state == .active
    }
    guard stores.allSatisfy({ membership.stores.state(of: $0.id) == .offline }) else {
      throw ClusterAdministrationError.refused("the server answers")
    }
    try await change {
      _ = try await metadata.declareLost(stores.map(\.id), of: server, limit: .max)
    }
  }

  /// Replaces a disk: `new`, which its server has registered, takes the place and the weight of
  /// `old`, whose chunks are made again.
  public func replaceStore(_ old: StoreID, with new: StoreID) async throws {
    try await change { try await metadata.replaceStore(old, with: new) }
  }

  /// Replaces a server: `new`, which has registered, takes the place and the weights of `old`, whose
  /// chunks are made again.
  public func replaceServer(_ old: ServerID, with new: ServerID) async throws {
    try await change { try await metadata.replaceServer(old, with: new) }
  }

  private func record(of id: ServerID) async throws -> StorageServerRecord {
    let members = try await metadata.members()
    guard let server = members.servers.first(where: { $0.id == id }) else {
      throw ClusterAdministrationError.notFound("storage server")
    }
    return server
  }

  /// Carries out a change and goes by it at once.
  private func change(_ body: () async throws -> Void) async throws {
    do {
      try await body()
    } catch MetadataError.notFound(let what) {
      throw ClusterAdministrationError.notFound(what)
    } catch MetadataError.preconditionFailed {
      throw ClusterAdministrationError.refused("the new one is not an active member")
    }
    try await membership.refresh()
  }
}
