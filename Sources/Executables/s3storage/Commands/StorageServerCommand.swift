import Base
import Disk
import Runtime
import Telemetry

/// `s3storage storage-server`: keeps chunks for the gateways of a cluster.
enum StorageServerCommand {
  nonisolated static func run(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    if arguments.first == "replace-disk" {
      return await replaceDisk(Array(arguments.dropFirst()), environment)
    }
    return await ServerProcess.run(
      "storage-server", Settings.storageServer, arguments, environment
    ) { configuration, log in
      while try await serve(configuration, log) {}
    }
  }

  /// Holds the lock of the data directory while it serves.
  private nonisolated static func serve(
    _ configuration: Configuration, _ log: Log
  ) async throws -> Bool {
    let node = try await StorageServerNode.open(configuration, log: log)
    return try await node.serve(configuration)
  }

  /// `storage-server replace-disk DIRECTORY`: the store that was in that directory is given up for a
  /// new one, which a server that runs takes up by itself, and says so to the gateways.
  private nonisolated static func replaceDisk(
    _ arguments: [String], _ environment: [String: String]
  ) async -> Int32 {
    guard let drive = arguments.first, !drive.hasPrefix("-") else {
      Terminal.err("s3storage storage-server replace-disk DIRECTORY [options of the server]\n")
      return 2
    }
    return await ServerProcess.run(
      "replace-disk", Settings.storageServer, Array(arguments.dropFirst()), environment
    ) { configuration, _ in
      let directory = try ServerDirectory(
        configuration, files: SystemFileSystem(), isShared: true)
      let (old, new) = try directory.replaceStore(in: drive, random: SystemRandom())
      Terminal.out(
        """
        Store \(new) takes the place of \(old). The server goes on with it by itself, at once
        where it runs, and tells the gateways: what was in the old one is made again.

        """)
    }
  }
}
