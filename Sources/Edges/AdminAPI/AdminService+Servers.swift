import Base
import Cluster
import HTTPServer
import Metadata
import Runtime

extension AdminService {
  /// `servers` and `stores` and what is below them.
  func servers(_ call: AdminCall) async throws -> HTTPResponse {
    guard let servers = providers.servers else {
      throw AdminError.notProvided("cluster of storage servers")
    }
    do {
      switch (call.method, call.path.first, call.path.count) {
      case (.get, "servers", 1): return try await list(servers)
      case (.delete, "servers", 2): return try await remove(call, servers)
      case (.post, "servers", 3): return try await change(call, servers)
      case (.post, "stores", 3): return try await changeStore(call, servers)
      default: throw AdminError(404, "not_found", "there is no such resource or method")
      }
    } catch let error as ClusterAdministrationError {
      throw AdminError(administration: error)
    }
  }

  /// What `GET status` tells of the members of a cluster.
  func members(_ servers: ClusterAdministration) async throws -> JSONValue {
    let status = try await servers.rebalance()
    let present = try await servers.servers().filter { $0.record.state != .left }
    return [
      "servers": .array(
        present.map { server in
          let full = Self.server(server)
          let names = ["id", "address", "zone", "state", "health", "reason"]
          return .object(names.map { .init($0, full[$0] ?? .null) })
        }),
      "answering": .integer(Int64(present.count { $0.health == .active })),
      "ring_version": .integer(status.ringVersion), "balanced": .bool(status.isBalanced),
      "leads": .bool(servers.leads),
    ]
  }

  private func list(_ servers: ClusterAdministration) async throws -> HTTPResponse {
    let status = try await servers.rebalance()
    return AdminResponse.json(
      200,
      [
        "servers": .array(try await servers.servers().map(Self.server)),
        "ring_version": .integer(status.ringVersion),
        "balanced": .bool(status.isBalanced),
        "repairs": .integer(status.repairs),
      ])
  }

  private func remove(
    _ call: AdminCall, _ servers: ClusterAdministration
  ) async throws -> HTTPResponse {
    let id = try Self.serverID(call.path[1])
    try await servers.remove(id, force: call.parameter("force") == "true")
    return AdminResponse.json(200, ["id": .string("\(id)"), "state": "left"])
  }

  private func change(
    _ call: AdminCall, _ servers: ClusterAdministration
  ) async throws -> HTTPResponse {
    let id = try Self.serverID(call.path[1])
    switch call.path[2] {
    case "drain":
      try call.allow([])
      try await servers.drain(id)
    case "undrain":
      try call.allow([])
      try await servers.undoDrain(id)
    case "lost":
      try call.allow([])
      try await servers.declareLost(id)
    case "weight":
      try call.allow(["weight"])
      try await servers.setWeight(ofServer: id, try Self.weight(call))
    case "replace":
      try call.allow(["by"])
      try await servers.replaceServer(id, with: try Self.serverID(try call.required("by")))
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
    return AdminResponse.json(200, ["id": .string("\(id)")])
  }

  private func changeStore(
    _ call: AdminCall, _ servers: ClusterAdministration
  ) async throws -> HTTPResponse {
    let id = try Self.storeID(call.path[1])
    switch call.path[2] {
    case "weight":
      try call.allow(["weight"])
      try await servers.setWeight(id, try Self.weight(call))
    case "replace":
      try call.allow(["by"])
      try await servers.replaceStore(id, with: try Self.storeID(try call.required("by")))
    default: throw AdminError(404, "not_found", "there is no such resource or method")
    }
    return AdminResponse.json(200, ["id": .string("\(id)")])
  }

  private static func weight(_ call: AdminCall) throws(AdminError) -> Int {
    guard let weight = try call.integer("weight") else {
      throw AdminError.badRequest("weight is missing")
    }
    return weight
  }

  private static func serverID(_ text: String) throws(AdminError) -> ServerID {
    guard let id = ServerID(hex: text) else {
      throw AdminError.badRequest("a storage server's id is 32 hexadecimal digits")
    }
    return id
  }

  private static func storeID(_ text: String) throws(AdminError) -> StoreID {
    guard let id = StoreID(hex: text) else {
      throw AdminError.badRequest("a store's id is 32 hexadecimal digits")
    }
    return id
  }

  private static func server(_ status: StorageServerStatus) -> JSONValue {
    let health: (word: String, reason: String) =
      switch status.health {
      case .active: ("active", "")
      case .inactive(let reason): ("inactive", reason)
      case .lost: ("lost", "")
      case .left: ("left", "")
      }
    let state =
      switch status.record.state {
      case .active: "active"
      case .draining: status.isDrained ? "drained" : "draining"
      case .left: "left"
      }
    return [
      "id": .string("\(status.record.id)"), "address": .string(status.record.address),
      "zone": .string(status.record.zone), "version": .string(status.record.version),
      "state": .string(state), "health": .string(health.word), "reason": .string(health.reason),
      "heartbeat_age_seconds": .integer(status.heartbeatAge.components.seconds),
      "stores": .array(status.stores.map(store)),
    ]
  }

  private static func store(_ store: StorageServerStatus.Store) -> JSONValue {
    [
      "id": .string("\(store.record.id)"), "health": .string(store.health),
      "weight": .integer(Int64(store.record.weight)), "capacity": .integer(store.capacity),
      "used": .integer(store.used), "free": .integer(store.free),
      "chunks": .integer(store.chunks),
    ]
  }
}

extension AdminError {
  /// Why an operator's order is not carried out.
  init(administration error: ClusterAdministrationError) {
    switch error {
    case .notFound(let what): self.init(404, "not_found", "there is no such \(what)")
    case .notDrained:
      self.init(409, "not_drained", "the server is not empty: drain it first, or use force")
    case .badWeight: self = .badRequest("a weight is a number from 1 to 10000")
    case .refused(let reason): self.init(409, "conflict", reason)
    }
  }
}
