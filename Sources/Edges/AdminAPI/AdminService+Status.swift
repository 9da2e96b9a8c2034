import Base
import ChunkStore
import Cluster
import Erasure
import HTTPServer
import Metadata
import ObjectEngine
import Recovery
import Runtime

extension AdminService {
  /// `GET status`.
  func status() async throws -> HTTPResponse {
    let engine = engine
    let devices = await providers.installation.devices()
    let stores = zip(engine.stores.all, await storeHealth()).map { store, health in
      (id: store.id, device: devices[store.id] ?? store.id.description, health: health)
    }
    let counts = try await engine.metadata.counts()
    let hold = try await engine.metadata.setting(DeletionHold.setting) ?? [0]
    let exported = try await engine.metadata.setting(AdminSettings.masterKeyExported)
    let perDevice = Dictionary(grouping: stores, by: \.device)
    let domain = FailureDomain(
      storesPerDevice: perDevice.values.map(\.count), scheme: engine.configuration.scheme)
    // Stores of one device share its space.
    let spaces = perDevice.values.compactMap { $0.max { $0.health.capacity < $1.health.capacity } }
    let scheme = engine.configuration.scheme
    var members = JSONValue.null
    var cluster: ClusterFailureDomain?
    if let servers = providers.servers {
      members = try await self.members(servers)
      cluster = clusterDomain(counts, isBalanced: members["balanced"]?.bool == true)
    }
    return AdminResponse.json(
      200,
      [
        "version": .string(providers.installation.version),
        "cluster_id": .string(engine.clusterID.description),
        "started_at": .string(providers.installation.started.iso8601),
        "time": .string(clock.now.iso8601),
        "scheme": .string("\(scheme.data)+\(scheme.parity)"),
        "failure_domain": Self.domain(domain, cluster),
        "stores": .array(stores.map { Self.store($0.id, $0.device, $0.health) }),
        "space": [
          "capacity": AdminResponse.number(spaces.reduce(0) { $0 + $1.health.capacity }),
          "used": AdminResponse.number(spaces.reduce(0) { $0 + $1.health.used }),
          "free": AdminResponse.number(spaces.reduce(0) { $0 + $1.health.free }),
        ],
        "chunks": AdminResponse.number(stores.reduce(0) { $0 + $1.health.chunkCount }),
        "counts": Self.counts(counts), "sweep_held": .bool(hold != [0]),
        "master_key_exported": .bool(exported.map { !$0.isEmpty } ?? false),
        "change_log": providers.recovery.map { Self.changeLog($0.logStatus) } ?? .null,
        "members": members,
      ])
  }

  /// Asks the stores on the engine's threads: looking at a file system may block.
  private func storeHealth() async -> [StoreHealth] {
    let stores = engine.stores
    return await withTaskGroup(of: [StoreHealth].self) { group in
      group.addTask(executorPreference: engine.pool) { await stores.refresh() }
      return await group.next() ?? []
    }
  }

  private static func domain(
    _ domain: FailureDomain, _ cluster: ClusterFailureDomain?
  ) -> JSONValue {
    guard let cluster else {
      return [
        "summary": .string(domain.summary), "stores": AdminResponse.number(domain.stores),
        "devices": AdminResponse.number(domain.devices),
        "tolerable_store_losses": AdminResponse.number(domain.tolerableStores),
        "tolerable_device_losses": AdminResponse.number(domain.tolerableDevices),
      ]
    }
    return [
      "summary": .string(cluster.summary), "stores": AdminResponse.number(cluster.stores),
      "servers": AdminResponse.number(cluster.servers),
      "zones": AdminResponse.number(cluster.zones), "settled": .bool(cluster.isSettled),
      "tolerable_server_losses": AdminResponse.number(cluster.tolerableServers),
      "tolerable_zone_losses": AdminResponse.number(cluster.tolerableZones),
    ]
  }

  private static func store(_ id: StoreID, _ device: String, _ health: StoreHealth) -> JSONValue {
    [
      "id": .string(id.description), "state": .string(health.state.rawValue),
      "reason": .string(health.reason), "device": .string(device),
      "capacity": AdminResponse.number(health.capacity),
      "used": AdminResponse.number(health.used), "free": AdminResponse.number(health.free),
      "reserve": AdminResponse.number(health.reserve),
      "chunks": AdminResponse.number(health.chunkCount),
    ]
  }

  private static func counts(_ counts: MetadataCounts) -> JSONValue {
    [
      "objects": .integer(counts.objects), "versions": .integer(counts.versions),
      "extents": .integer(counts.extents), "inline_objects": .integer(counts.inlineObjects),
      "uploads": .integer(counts.uploads), "tombstones": .integer(counts.tombstones),
      "repairs": .integer(counts.repairs), "under_spread": .integer(counts.underSpread),
      "quarantined": .integer(counts.quarantined), "bytes": .integer(counts.bytes),
    ]
  }
}
