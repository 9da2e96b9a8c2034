import Runtime

/// `s3storage serve`: gateway, stores and metadata in one process.
enum ServeCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("serve", Settings.embedded, arguments, environment) {
      configuration, log in
      try await GatewayProcess.serve(
        try await EmbeddedNode.open(configuration, log: log), configuration)
    }
  }
}
