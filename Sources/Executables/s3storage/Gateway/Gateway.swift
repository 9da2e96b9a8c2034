import Access
import AdminAPI
import Base
import ChunkRPC
import ChunkStore
import Cluster
import Glibc
import Metadata
import ObjectEngine
import Recovery
import Runtime
import Telemetry
import Trust

/// What every process that serves HTTP is made of, whatever its metadata and stores are.
struct Gateway: Sendable {
  let engine: ObjectEngine
  let access: AccessControl
  let keys: Keys
  let masterKey: MasterKeyFile
  let work: BackgroundWork
  /// Keeps the metadata in the stores.
  let recovery: MetadataRecovery
  /// The root credentials when they were made now.
  let rootKeys: NewAccessKey?
  let installation: any InstallationDescribing
  /// Copies of the metadata; nil where the database has tools of its own.
  let backups: (any BackupProviding)?
  /// The cache that gateways share; nil where there is none.
  var cache: (any FactCache)?
  /// The storage servers that are called; nil where there are none.
  var servers: GuardedStorageServers?
  /// What was asked of them; nil where there are none.
  var calls: RPCCounters?
  /// Admits storage servers; nil where there are none.
  var enrolment: EnrolmentService?
  /// What operators do with storage servers; nil where there are none.
  var administration: ClusterAdministration?
  let draining = Draining()
  let log: Log

  /// The root user's keys: those of the configuration, or made on first start.
  static func rootKeys(
    _ access: AccessControl, _ configuration: Configuration
  ) async throws -> NewAccessKey? {
    let id = configuration["ROOT_ACCESS_KEY"]
    let secret = configuration["ROOT_SECRET_KEY"]
    guard id.isEmpty == secret.isEmpty else {
      throw StartError("ROOT_ACCESS_KEY and ROOT_SECRET_KEY are set together or not at all")
    }
    return try await access.ensureRoot(preset: id.isEmpty ? nil : (id, secret))
  }

  /// The settings of the background work.
  static func background(_ configuration: Configuration) -> BackgroundConfiguration {
    var settings = BackgroundConfiguration()
    settings.deletionDelay = .seconds(configuration.number("GC_DELAY_SECONDS"))
    let days = configuration.number("SCRUB_DAYS")
    settings.scrubPeriod = days == 0 ? nil : .seconds(days * 86_400)
    settings.cleanupInterval = .seconds(configuration.number("CLEANUP_SECONDS"))
    settings.sessionIdle = .seconds(configuration.number("UPLOAD_SESSION_SECONDS"))
    guard configuration.has("HEARTBEAT_SECONDS") else { return settings }
    settings.heartbeatInterval = .seconds(configuration.number("HEARTBEAT_SECONDS"))
    settings.refreshInterval = .seconds(configuration.number("RING_REFRESH_SECONDS"))
    settings.inactiveAfter = .seconds(configuration.number("INACTIVE_SECONDS"))
    settings.lossGrace = .seconds(configuration.number("DEAD_SECONDS"))
    settings.leaseLength = .seconds(configuration.number("LEASE_SECONDS"))
    settings.repairInterval = .seconds(configuration.number("REPAIR_SECONDS"))
    settings.rebalanceInterval = settings.repairInterval
    settings.sweepInterval = .seconds(configuration.number("SWEEP_SECONDS"))
    settings.repairDutyCycle = Double(configuration.number("REPAIR_PERCENT")) / 100
    settings.maximumRepairs = min(
      settings.maximumRepairs, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    return settings
  }
}

/// A process that serves HTTP: a gateway, and what runs beside it.
protocol GatewayNode: Sendable {
  /// What is served.
  var gateway: Gateway { get }

  /// Runs what must outlive the requests, until `shutDown`.
  func runBeside() async

  /// Ends writers, stores and metadata once no request runs any more.
  func shutDown() async
}
