import Runtime

/// `s3storage gateway`: serves HTTP over a database and storage servers; any number of them.
enum GatewayCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("gateway", Settings.gateway, arguments, environment) {
      configuration, log in
      try await GatewayProcess.serve(
        try await ClusterNode.open(configuration, log: log), configuration)
    }
  }
}
