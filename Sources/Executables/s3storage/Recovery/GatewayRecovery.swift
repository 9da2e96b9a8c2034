import Base
import ChunkStore
import Disk
import Metadata
import ObjectEngine
import Recovery
import Runtime
import Telemetry

/// Recovery as the processes that serve requests set it up.
enum GatewayRecovery {
  /// Puts the keys into the stores and the change log in force, before anything is served.
  /// `directory` tells which devices an embedded installation lies on; nil for storage servers.
  static func start(
    _ engine: ObjectEngine, _ metadata: SQLMetadataStore, embedded directory: DataDirectory?,
    _ configuration: Configuration, log: Log
  ) async throws -> MetadataRecovery {
    var settings = RecoveryConfiguration()
    let interval = configuration.number("SNAPSHOT_SECONDS")
    settings.snapshotInterval = interval == 0 ? nil : .seconds(interval)
    guard let mode = ChangeLogMode(rawValue: configuration["CHANGE_LOG"]) else {
      throw StartError("CHANGE_LOG is auto, on or off")
    }
    settings.changeLog = mode
    if let directory {
      for (store, path) in zip(engine.stores.all, directory.stores) {
        let status = try? directory.files.status(DiskPath(path, kind: "store directory"))
        if let status { settings.domains[store.id] = "device \(status.device)" }
      }
      settings.metadataDomain =
        (try? directory.files.status(directory.metadata)).map { "device \($0.device)" }
    }
    let recovery = MetadataRecovery(
      engine: engine, metadata: metadata, configuration: settings, random: SystemRandom(),
      log: log)
    try await recovery.start()
    return recovery
  }
}
