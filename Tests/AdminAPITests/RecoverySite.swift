import AdminAPI
import ObjectEngine
import Runtime

/// A gateway that keeps its metadata in its stores, and its Admin API.
struct RecoverySite: Sendable {
  let node: RecoveryNode
  let site: AdminSite

  init(_ node: RecoveryNode) throws {
    self.node = node
    var providers = AdminProviders(
      installation: FakeProcess(), scrubbing: nil, workers: nil, backups: nil, masterKey: nil)
    providers.recovery = node.recovery
    site = try AdminSite(node.engine, providers)
  }

  /// Serves for as long as `body` runs, and ends the gateway and its stores.
  func serving(
    _ body: @escaping @Sendable (AdminTestClient) async throws -> Void
  ) async throws {
    try await site.serving(body)
    await node.close()
    await node.fixture.close()
  }
}
