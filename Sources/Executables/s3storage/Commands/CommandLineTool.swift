import Runtime

/// The subcommands.
enum CommandLineTool {
  static let version = "0.1.0"

  static let usage = """
    s3storage \(version): S3-compatible object storage

      s3storage serve [--data-dir DIR] [options]   one machine: everything in this process
      s3storage gateway [options]                  a gateway of a cluster
      s3storage storage-server [options]           a storage server of a cluster
      s3storage migrate [--database-url URL]       the schema of a cluster's database
      s3storage cluster init|join|…                certificates and members of a cluster
      s3storage admin …                            users, keys, status, backup, scrub
      s3storage config [options]                   all settings with their values
      s3storage version

    Each setting is a flag or an environment variable of the same name: --data-dir, DATA_DIR.

    """

  /// Whether a command line is that of a process which runs until it is told to stop.
  nonisolated static func isServer(_ arguments: [String]) -> Bool {
    ["serve", "gateway", "storage-server"].contains(arguments.first ?? "")
  }

  /// Runs a command line; the exit status: 0 done, 1 failed, 2 not understood.
  nonisolated static func run(_ arguments: [String]) async -> Int32 {
    let environment = ProcessEnvironment.variables
    let rest = Array(arguments.dropFirst())
    switch arguments.first {
    case "serve": return await ServeCommand.run(rest, environment)
    case "gateway": return await GatewayCommand.run(rest, environment)
    case "storage-server": return await StorageServerCommand.run(rest, environment)
    case "cluster" where rest.first == "restored":
      return await RestoredCommand.run(Array(rest.dropFirst()), environment)
    case "cluster":
      return await ClusterCommand.run(arguments: rest, environment: environment) { body in
        try await ClusterInstallation.withAuthority(
          rest.first == "init" ? .initialising : .existing, environment, body)
      }
    case "migrate": return await MigrateCommand.run(rest, environment)
    case "admin":
      return await AdminCommand.run(arguments: rest, environment: environment)
    case "config": return ConfigCommand.run(rest, environment)
    case "crash-steps":
      Terminal.out(CrashPoint.allCases.map { $0.rawValue + "\n" }.joined())
      return 0
    case "version", "--version":
      return tellVersion(environment)
    case "help", "--help", "-h":
      Terminal.out(usage)
      return 0
    default:
      Terminal.err(usage)
      return 2
    }
  }

  /// The version, and whose AES-GCM servers use on this machine.
  private nonisolated static func tellVersion(_ environment: [String: String]) -> Int32 {
    do throws(ConfigurationError) {
      let option = CipherChoice.option
      let choice = try CipherChoice(environment[option.name] ?? option.standard)
      Terminal.out("s3storage \(version)\nAES-GCM of \(choice.install())\n")
      return 0
    } catch {
      Terminal.err("s3storage: \(error)\n")
      return 2
    }
  }
}
