import Base
import ChunkRPC
import GRPC
import Metadata
import Runtime
import Telemetry
import Trust

/// How a gateway proves itself to storage servers, and admits them.
///
/// With `CLUSTER_SECRET` all of it stays on one machine; without it the gateway issues itself a
/// certificate by the cluster's authority and keeps it young.
struct GatewayTrust: Sendable {
  let security: ChunkRPCSecurity
  let enrolment: EnrolmentService
  private let tls: TLSIdentity?
  private let memory: GatewayMemory
  private let log: Log

  /// Opens the cluster's authority. Throws when there is neither that nor a secret.
  static func open(
    _ configuration: Configuration, _ installation: ClusterInstallation,
    _ directory: EnrolmentService.Directory, log: Log
  ) async throws -> GatewayTrust {
    let secret = configuration["CLUSTER_SECRET"]
    let enrolment = EnrolmentService(
      authority: installation.authority(log: log), directory: directory,
      clusterSecret: secret.isEmpty ? nil : Array(secret.utf8))
    let memory = GatewayMemory(dataDirectory: configuration["DATA_DIR"])
    guard secret.isEmpty else {
      return GatewayTrust(
        security: .sharedSecret(secret), enrolment: enrolment, tls: nil, memory: memory, log: log)
    }
    let identity = try await enrolment.gatewayIdentity()
    try memory.keep(identity)
    let tls = TLSIdentity(TLSMaterial(identity))
    return GatewayTrust(
      security: .mutualTLS(tls), enrolment: enrolment, tls: tls, memory: memory, log: log)
  }

  /// Puts a newer certificate in force when there is one, and says what is in force in the name of
  /// the writer with the epoch `writer`; `living` are the epochs of all gateways that live.
  func renew(writer: UInt64, living: () async throws -> [UInt64]) async {
    do {
      guard try await enrolment.authority.isInitialized() else { return }
      guard let tls else {
        return try await enrolment.authority.noteUse(
          nil, byWriter: writer, living: try await living())
      }
      let identity = try await enrolment.gatewayIdentity()
      let material = TLSMaterial(identity)
      if material.certificateChain != tls.current.material.certificateChain
        || material.authorities != tls.current.material.authorities
      {
        tls.update(material)
        try memory.keep(identity)
      }
      try await enrolment.authority.noteUse(
        identity, byWriter: writer, living: try await living())
    } catch {
      log.warning("the certificate could not be looked at", [("reason", "\(error)")])
    }
  }
}

extension TLSMaterial {
  /// A transport identity for the chunk service.
  init(_ identity: TransportIdentity) {
    self.init(
      authorities: identity.caPEM, certificateChain: identity.certificatePEM,
      privateKey: identity.privateKeyPEM)
  }
}
