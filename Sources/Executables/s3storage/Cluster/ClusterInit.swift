import MetadataPostgres
import Runtime

/// `s3storage cluster init`: gives a migrated database its cluster.
enum ClusterInit {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("cluster", Settings.administration, arguments, environment) {
      configuration, log in
      let installation = try await ClusterInstallation.initialise(configuration, log: log)
      Terminal.out("cluster \(installation.id)\n")
      await installation.metadata.close()
    }
  }
}
