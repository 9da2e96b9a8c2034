import Base
import Disk
import Metadata
import MetadataPostgres
import Runtime
import Sealing
import Telemetry
import Trust

/// What all gateways of a cluster share: its database, its id and its keys.
struct ClusterInstallation: Sendable {
  let metadata: PostgresMetadata
  let id: ClusterID
  let keys: Keys
  let masterKey: MasterKeyFile

  /// What is expected of the database.
  enum Expectation {
    /// It holds a cluster.
    case existing
    /// A cluster is made in it unless there is one.
    case initialising
  }

  /// Has a command use the authority of the cluster that the environment names.
  static func withAuthority(
    _ expectation: Expectation, _ environment: [String: String],
    _ body: (ClusterAuthority) async throws -> Void
  ) async throws {
    let configuration = try Configuration(
      options: Settings.administration, arguments: [], environment: environment)
    let log = Log(component: "cluster", minimum: .warning)
    let installation =
      switch expectation {
      case .existing: try await open(configuration, log: log)
      case .initialising: try await initialise(configuration, log: log)
      }
    do {
      try await body(installation.authority(log: log))
    } catch {
      await installation.metadata.close()
      throw error
    }
    await installation.metadata.close()
  }

  /// Opens the database and the keys of a cluster that was initialised.
  static func open(_ configuration: Configuration, log: Log) async throws -> ClusterInstallation {
    let metadata = try await database(configuration, log)
    do {
      guard let id = try await InstallationID.read(metadata.store),
        try await !metadata.store.encryptionKeys().isEmpty
      else {
        throw StartError("this database holds no cluster yet: run `s3storage cluster init`")
      }
      return try await finish(metadata, id, try masterKeyFile(configuration), log)
    } catch {
      await metadata.close()
      throw error
    }
  }

  /// The authority that the members' certificates come from.
  func authority(log: Log) -> ClusterAuthority {
    ClusterAuthority(
      settings: metadata.store, keys: keys.ring, clock: SystemWallClock(),
      random: SystemRandom(),
      users: { [store = metadata.store] in
        AuthorityUsers(
          servers: try await store.members().servers.filter { $0.state != .left }.map(\.id),
          writers: try await store.liveWriters().map(\.epoch))
      }, log: log)
  }

  /// Gives a new cluster its id, its master key and its first key-encryption key; what is there
  /// already stays. To be run once, by one process at a time.
  static func initialise(
    _ configuration: Configuration, log: Log
  ) async throws -> ClusterInstallation {
    let random = SystemRandom()
    let metadata = try await database(configuration, log)
    do {
      var id = try await InstallationID.read(metadata.store)
      if id == nil {
        let made = ClusterID(high: random.next(), low: random.next())
        try await metadata.store.setSetting(InstallationID.setting, made.bytes)
        id = made
      }
      guard let id else { throw StartError("the cluster's id could not be kept") }
      let file = try masterKeyFile(configuration)
      try SmallFile(files: file.files).makeDirectories(file.directory)
      return try await finish(metadata, id, file, log)
    } catch {
      await metadata.close()
      throw error
    }
  }

  private static func finish(
    _ metadata: PostgresMetadata, _ id: ClusterID, _ file: MasterKeyFile, _ log: Log
  ) async throws -> ClusterInstallation {
    let keys = try await Keys.open(
      file, metadata: metadata.store, cluster: id, random: SystemRandom(),
      clock: SystemWallClock(), log: log)
    return ClusterInstallation(metadata: metadata, id: id, keys: keys, masterKey: file)
  }

  private static func database(
    _ configuration: Configuration, _ log: Log
  ) async throws -> PostgresMetadata {
    try await PostgresMetadata.open(
      url: try databaseURL(configuration), poolSize: configuration.number("DATABASE_POOL"),
      log: log)
  }

  /// The database's address. Throws when none is set.
  static func databaseURL(_ configuration: Configuration) throws -> String {
    let url = configuration["DATABASE_URL"]
    guard !url.isEmpty else {
      throw StartError("DATABASE_URL is not set: postgres://user:password@host/database")
    }
    return url
  }

  private static func masterKeyFile(_ configuration: Configuration) throws -> MasterKeyFile {
    let path = configuration["MASTER_KEY_FILE"]
    let file = path.isEmpty ? configuration["DATA_DIR"] + "/keys/master.key" : path
    return MasterKeyFile(DiskPath(file, kind: "master key"), files: SystemFileSystem())
  }
}
