import AdminAPI
import Base
import FilesAPI
import Cluster
import HTTPServer
import ObjectEngine
import Recovery
import Runtime
import S3API
import Telemetry

extension Gateway {
  /// Binds the listeners: S3, Files, Admin, metrics, in this order.
  func makeServer(_ configuration: Configuration) throws -> HTTPServer {
    var tls: TLSFiles?
    let certificate = configuration["TLS_CERT"]
    let key = configuration["TLS_KEY"]
    guard certificate.isEmpty == key.isEmpty else {
      throw StartError("TLS_CERT and TLS_KEY are set together or not at all")
    }
    if !certificate.isEmpty { tls = TLSFiles(certificateChain: certificate, privateKey: key) }
    let s3 = s3Service(configuration)
    let files = filesService(configuration)
    let admin = try adminService()
    let metrics = MetricsPage(
      engine: engine, cache: cache, servers: servers, calls: calls, recovery: recovery)
    let address = configuration["BIND_ADDRESS"]
    let adminAddress = configuration["ADMIN_BIND_ADDRESS"]
    func port(_ name: String) -> UInt16 { UInt16(clamping: configuration.number(name)) }
    var limits = HTTPLimits()
    limits.maximumConnections = connectionLimit(configuration.number("MAX_CONNECTIONS"))
    let loops = configuration.number("EVENT_LOOPS")
    return try HTTPServer(
      listeners: [
        HTTPListener(
          address: address, port: port("S3_PORT"), tls: tls,
          errorBody: { S3Service.protocolErrorBody($0, $1) }
        ) { await s3.handle($0) },
        HTTPListener(
          address: address, port: port("HTTP_PORT"), tls: tls,
          errorBody: { FilesService.errorBody(status: $0, reason: $1) }
        ) { try await files.handle($0) },
        HTTPListener(
          address: adminAddress, port: port("ADMIN_PORT"), tls: tls,
          errorBody: { AdminService.errorBody(status: $0, reason: $1) }
        ) { try await admin.handle($0) },
        HTTPListener(address: "127.0.0.1", port: port("METRICS_PORT"), tls: nil) {
          metrics.handle($0)
        },
      ], limits: limits, serverName: "s3storage", threads: loops == 0 ? nil : loops)
  }

  /// How many connections there may be: those that are asked for, as far as the process may open
  /// them.
  private func connectionLimit(_ asked: Int) -> Int {
    let possible = ProcessEnvironment.connectionLimit
    guard possible < asked else { return asked }
    log.warning(
      "fewer connections are possible than MAX_CONNECTIONS: raise the limit of open files",
      [("possible", "\(possible)"), ("MAX_CONNECTIONS", "\(asked)")])
    return possible
  }

  private func s3Service(_ configuration: Configuration) -> S3Service {
    S3Service(
      engine: engine, access: access, region: configuration["S3_REGION"],
      domains: configuration["S3_DOMAIN"].split(separator: ",").map { String($0).lowercased() },
      clock: SystemWallClock(), random: SystemRandom(), log: log)
  }

  private func filesService(_ settings: Configuration) -> FilesService {
    var configuration = FilesConfiguration(version: CommandLineTool.version)
    // A running upload shows itself several times before it would count as abandoned.
    configuration.touchMilliseconds = min(
      configuration.touchMilliseconds, settings.number("UPLOAD_SESSION_SECONDS") * 1000 / 4)
    return FilesService(
      engine: engine, access: access, configuration: configuration, random: SystemRandom(),
      log: log, health: { [draining] in draining.hasBegun ? .draining : .ready })
  }

  private func adminService() throws -> AdminService {
    let keeper = MasterKeyKeeper(
      master: keys.master, file: masterKey, metadata: engine.metadata, ring: keys.ring,
      pool: engine.pool, random: SystemRandom(),
      publish: { [recovery] in try await recovery.publishKeysToEnough() })
    let reporting = BackgroundReporting(work: work)
    var providers = AdminProviders(
      installation: installation, scrubbing: reporting, workers: reporting, backups: backups,
      masterKey: keeper)
    providers.recovery = recovery
    providers.enrolment = enrolment
    providers.servers = administration
    return AdminService(
      engine: engine, access: access, providers: providers,
      random: SystemRandom(), log: log)
  }
}
