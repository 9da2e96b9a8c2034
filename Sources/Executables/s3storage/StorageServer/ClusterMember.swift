import Base
import ChunkRPC
import GRPC
import Metadata
import Runtime
import Telemetry
import Trust

/// What a storage server is to its cluster: where it listens, how it proves itself, and that
/// gateways know of it.
struct ClusterMember: Sendable {
  let registration: StorageServerRegistration
  let cluster: ClusterID
  let security: ChunkRPCSecurity
  let bindAddress: String
  private let tls: TLSIdentity?
  private let enrolment: Enrolment?
  private let isRegistered: Bool
  /// How often a server that is registered says so again, since an address, a release or the
  /// authorities may be new, and its certificate is looked at.
  private let interval: Duration
  private let log: Log

  /// Reads what the operator said. A first start without certificates asks a gateway for the
  /// cluster, and waits until one answers. Throws when gateways could not reach this server, or it
  /// could not prove itself.
  static func open(
    _ configuration: Configuration, _ directory: ServerDirectory,
    _ stores: [ServerDirectory.Store], log: Log
  ) async throws -> ClusterMember {
    let server = try directory.cluster.serverID(random: SystemRandom())
    let joined = try JoinSettings(directory.cluster)
    let identity = try directory.cluster.identity()
    let secret = configuration["CLUSTER_SECRET"]
    guard identity != nil || !secret.isEmpty else {
      throw StartError(
        "no certificate: run `s3storage cluster join`, or on one machine set CLUSTER_SECRET")
    }
    let bind = try bindAddress(configuration, hasCertificate: identity != nil)
    let weight = chosen("WEIGHT", configuration).flatMap { Int($0) } ?? joined?.weight
    var registration = StorageServerRegistration(
      id: server, address: try advertised(configuration, joined, bind),
      zone: chosen("ZONE", configuration) ?? joined?.zone ?? "",
      version: CommandLineTool.version,
      stores: stores.map { ($0.id, weight ?? configuration.number("WEIGHT")) })
    registration.replacedStores = stores.compactMap { store in
      store.replaces.map { .init(old: $0, new: store.id) }
    }
    if !configuration["REPLACES"].isEmpty {
      guard let old = ServerID(hex: configuration["REPLACES"]) else {
        throw StartError("REPLACES is the id of a storage server: 32 hexadecimal digits")
      }
      registration.replacing = old
    }
    let gateways =
      chosen("GATEWAYS", configuration)?.split(separator: ",").map(String.init)
      ?? joined?.gateways ?? []
    let enrolment =
      gateways.isEmpty
      ? nil
      : try Enrolment(
        directory: directory.cluster, gateways: gateways,
        clusterSecret: secret.isEmpty ? nil : Array(secret.utf8),
        pool: ThreadPool(name: "enrolment", threadCount: 1), log: log)
    let known = try directory.cluster.clusterID()
    if known == nil, enrolment == nil {
      throw StartError("GATEWAYS names no gateway to register with")
    }
    var cluster = known
    if cluster == nil { cluster = try await enrolment?.register(registration) }
    guard let cluster else { throw StartError("the cluster is not known") }
    let tls = identity.map { TLSIdentity(TLSMaterial($0)) }
    return ClusterMember(
      registration: registration, cluster: cluster,
      security: tls.map { .mutualTLS($0) } ?? .sharedSecret(secret), bindAddress: bind, tls: tls,
      enrolment: enrolment, isRegistered: known == nil,
      interval: .seconds(configuration.number("TRUST_SECONDS")), log: log)
  }

  /// Registers and keeps the certificate young, until cancelled.
  func run() async {
    guard let enrolment else { return }
    var isDone = isRegistered
    while !Task.isCancelled {
      // The answer to a registration brings the authorities; one that is new makes a renewal due.
      if !isDone { _ = try? await enrolment.register(registration) }
      isDone = false
      await renew(enrolment)
      try? await Task.sleep(for: interval)
    }
  }

  /// Puts what is there now in force: a renewed certificate, of which the gateways hear at once,
  /// and the authorities that are trusted now.
  private func renew(_ enrolment: Enrolment) async {
    do {
      let isRenewed = try await enrolment.renewIfDue() != nil
      guard let tls, let identity = try await enrolment.identity() else { return }
      let material = TLSMaterial(identity)
      if material.certificateChain != tls.current.material.certificateChain
        || material.authorities != tls.current.material.authorities
      {
        tls.update(material)
      }
      if isRenewed { _ = try await enrolment.registerOnce(registration) }
    } catch {
      log.warning("the certificate could not be looked at", [("reason", "\(error)")])
    }
  }

  private static func bindAddress(
    _ configuration: Configuration, hasCertificate: Bool
  ) throws -> String {
    let address = configuration["GRPC_BIND_ADDRESS"]
    if !address.isEmpty { return address }
    return hasCertificate ? "0.0.0.0" : "127.0.0.1"
  }

  /// What the operator set now; what was said when the server joined holds otherwise.
  private static func chosen(_ name: String, _ configuration: Configuration) -> String? {
    configuration.origin(name) == .standard ? nil : configuration[name]
  }

  private static func advertised(
    _ configuration: Configuration, _ joined: JoinSettings?, _ bind: String
  ) throws -> String {
    if let address = chosen("ADVERTISE", configuration) ?? joined?.advertise { return address }
    guard bind != "0.0.0.0", bind != "[::]" else {
      throw StartError("ADVERTISE says where gateways reach this server: host:port")
    }
    return "\(bind):\(configuration.number("GRPC_PORT"))"
  }
}
