import Access
import AdminAPI
import HTTPServer
import Metadata
import ObjectEngine
import Runtime
import Telemetry
import Testing

/// The Admin API of an engine over a real HTTP server, with users in the engine's metadata.
struct AdminSite: Sendable {
  let access: AccessControl
  let server: HTTPServer
  let port: UInt16
  private let clock: any WallClock

  init(_ engine: ObjectEngine, _ providers: AdminProviders) throws {
    let random = SystemRandom()
    clock = engine.clock
    access = AccessControl(
      metadata: engine.metadata, keys: engine.keys, clock: clock, random: random)
    let service = AdminService(
      engine: engine, access: access, providers: providers, random: random, log: .none)
    server = try HTTPServer(
      listeners: [
        HTTPListener(
          address: "127.0.0.1", port: 0,
          errorBody: { AdminService.errorBody(status: $0, reason: $1) },
          handler: { try await service.handle($0) })
      ], threads: 1)
    port = try #require(server.addresses.first).port
  }

  /// Makes a user with a key.
  func user(_ name: String, role: User.Role) async throws -> NewAccessKey {
    _ = try await access.createUser(name: name, role: role)
    return try await access.createKey(user: name)
  }

  /// Serves for as long as `body` runs, which gets a client of an administrator.
  func serving(
    _ body: @escaping @Sendable (AdminTestClient) async throws -> Void
  ) async throws {
    let root = try await user("chief", role: .administrator)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await server.run() }
      do {
        try await body(
          AdminTestClient(port: port, id: root.id, secret: root.secret, clock: clock))
      } catch {
        server.beginShutdown(deadline: .zero)
        throw error
      }
      server.beginShutdown(deadline: .seconds(10))
      try await group.waitForAll()
    }
    #expect(server.statistics.openConnections == 0)
  }

  /// Expects each of these requests to be refused to all but administrators.
  func expectGuarded(_ requests: [(method: String, path: String)]) async throws {
    let ann = try await user("ann", role: .user)
    let user = AdminTestClient(port: port, id: ann.id, secret: ann.secret, clock: clock)
    let stranger = FilesClient(port, bearer: nil)
    for (method, path) in requests {
      let forbidden = try await user.send(method, path)
      #expect(forbidden.status == 403, "\(method) \(path)")
      #expect(forbidden.json?["error"]?.text == "forbidden")
      let unsigned = try await stranger.send(method, "/admin/v1/\(path)")
      #expect(unsigned.status == 401, "\(method) \(path)")
      #expect(unsigned.json?["error"]?.text == "unauthorized")
    }
  }
}
