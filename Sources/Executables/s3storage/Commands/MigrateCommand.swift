import MetadataPostgres
import Runtime

/// `s3storage migrate`: brings the database of a cluster to this release's schema.
enum MigrateCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("migrate", Settings.administration, arguments, environment) {
      configuration, log in
      let applied = try await PostgresMetadata.migrate(
        url: try ClusterInstallation.databaseURL(configuration), log: log)
      Terminal.out(
        applied.isEmpty
          ? "The database is up to date.\n"
          : "Migrations applied: \(applied.map(String.init).joined(separator: ", "))\n")
    }
  }
}
