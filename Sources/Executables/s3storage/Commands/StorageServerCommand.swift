import Runtime

/// `s3storage storage-server`: keeps chunks for the gateways of a cluster.
enum StorageServerCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("storage-server", Settings.storageServer, arguments, environment) {
      configuration, log in
      let node = try await StorageServerNode.open(configuration, log: log)
      try await node.serve(configuration)
    }
  }
}
