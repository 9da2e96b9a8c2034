import Metadata
import MetadataPostgres
import Runtime

/// `s3storage cluster restored`: says that the database of a cluster was put back from a backup.
enum RestoredCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    await ServerProcess.run("cluster restored", Settings.administration, arguments, environment) {
      configuration, log in
      let metadata = try await PostgresMetadata.open(
        url: try ClusterInstallation.databaseURL(configuration), log: log)
      do {
        try await metadata.store.beginTimeline()
      } catch {
        await metadata.close()
        throw error
      }
      await metadata.close()
      Terminal.out(
        """
        What the database does not know is not deleted from now on.
        Start the gateways, then run: s3storage admin reconcile

        """)
    }
  }
}
