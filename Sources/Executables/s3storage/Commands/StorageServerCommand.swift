import Base
import Disk
import Runtime

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
      let node = try await StorageServerNode.open(configuration, log: log)
      try await node.serve(configuration)
    }
  }

  /// `storage-server replace-disk DIRECTORY`, of a server that is stopped: the store that was in
  /// that directory is given up, and the next start makes a new one there.
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
      let directory = try ServerDirectory(configuration, files: SystemFileSystem())
      let (old, new) = try directory.replaceStore(in: drive, random: SystemRandom())
      Terminal.out(
        """
        The next start makes store \(new) in place of \(old). What was in it is made again
        once the cluster has missed it for DEAD_SECONDS, or at once with
          s3storage admin stores replace \(old) \(new)

        """)
    }
  }
}
