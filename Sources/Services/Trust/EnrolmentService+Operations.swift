import Base
import Crypto
import Metadata
import Runtime
import Telemetry

extension EnrolmentService {
  /// What a proven call comes to.
  func perform(_ call: ClusterCall, _ sender: ProvenSender) async throws -> JSONValue {
    let value = try? JSONValue(parsing: call.body)
    switch (call.operation, sender) {
    case (.join, .token(let id, _, let record)):
      return try await join(try Self.request(value), id, record)
    case (.renew, .certificate(let server, let certificate)):
      return try await renew(try Self.request(value), server, certificate)
    case (.register, .secret(let server, _)):
      return try await register(try StorageServerRegistration(json: value), server, nil)
    case (.register, .certificate(let server, let certificate)):
      return try await register(try StorageServerRegistration(json: value), server, certificate)
    default: throw TrustError.refused("this proof is not one for that request")
    }
  }

  /// The certificate request of a body, which names a storage server and nothing else.
  private static func request(
    _ value: JSONValue?
  ) throws(TrustError) -> (CertificateRequest, ServerID) {
    let object = try StrictObject(value, members: ["request"])
    let pem = try object.text("request", limit: 8192)
    do throws(CertificateError) {
      let request = try CertificateRequest(pem: pem)
      guard let server = ClusterNames.serverID(request.name) else {
        throw .malformed("the request does not name a storage server")
      }
      return (request, server)
    } catch {
      throw .malformed(error.description)
    }
  }

  private func join(
    _ asked: (request: CertificateRequest, server: ServerID), _ token: JoinToken.ID,
    _ record: JoinTokenRecord
  ) async throws -> JSONValue {
    let key = asked.request.publicKeyFingerprint
    guard record.expires > authority.clock.now else {
      throw TrustError.refused("the token has expired or was revoked")
    }
    if let only = record.server, only != asked.server {
      throw TrustError.refused("the token is for another storage server")
    }
    let known = try await directory.state(asked.server)
    let isUnknown = known == nil || known == .left
    guard isUnknown || record.server == asked.server else {
      throw TrustError.conflict(
        "the cluster has this storage server: make a token for it with --server")
    }
    try await authority.useToken(token, key: key)
    let set = try await authority.load()
    try await authority.updateAdmission(asked.server) { admission throws(TrustError) in
      // Until it registers, one key alone may join under its name.
      guard
        admission.pendingKey.isEmpty || admission.pendingKey == key
          || record.server == asked.server
      else {
        throw .conflict(
          "another key has joined under this name: make a token for it with --server")
      }
      admission.pendingKey = key
    }
    let chain = try authority.issueServer(set, asked.server, asked.request)
    authority.log.info(
      "a storage server joined",
      [("server", asked.server.description), ("token", token.description)])
    return certificateAnswer(set, chain, asked.server)
  }

  private func renew(
    _ asked: (request: CertificateRequest, server: ServerID), _ server: ServerID,
    _ certificate: Certificate
  ) async throws -> JSONValue {
    guard asked.server == server else {
      throw TrustError.refused("the request names another storage server")
    }
    guard
      ConstantTime.equals(
        asked.request.publicKeyFingerprint, certificate.publicKeyFingerprint)
    else { throw TrustError.refused("a renewal keeps the key: join anew for another one") }
    switch try await directory.state(server) {
    case .active, .draining: break
    case .left, nil:
      throw TrustError.refused("this storage server is not one of the cluster: join anew")
    }
    let set = try await authority.load()
    let chain = try authority.issueServer(set, server, asked.request)
    authority.log.info(
      "the certificate of a storage server was renewed", [("server", server.description)])
    return certificateAnswer(set, chain, server)
  }

  private func register(
    _ registration: StorageServerRegistration, _ server: ServerID, _ certificate: Certificate?
  ) async throws -> JSONValue {
    guard registration.id == server else {
      throw TrustError.refused("the registration names another storage server")
    }
    let admission = try await authority.admission(server)
    if let certificate {
      // Who has left holds a good certificate still: it needs a token to come back.
      if try await directory.state(server) == .left {
        guard ConstantTime.equals(admission.pendingKey, certificate.publicKeyFingerprint) else {
          throw TrustError.refused("this storage server has left: join anew")
        }
      }
    } else if !registration.isLoopback {
      throw TrustError.refused("without certificates a storage server is on this machine")
    }
    try await directory.register(registration)
    if !admission.pendingKey.isEmpty {
      try await authority.updateAdmission(server) { $0.pendingKey = [] }
    }
    if try await authority.isInitialized() {
      try await authority.noteUse(certificate, by: server)
    }
    authority.log.info("a storage server registered", [("server", server.description)])
    let trusted = certificate == nil ? nil : try await authority.trustedPEM()
    return [
      "cluster_id": .string(authority.cluster.description), "ca": JSONValue(trusted),
    ]
  }

  private func certificateAnswer(
    _ set: AuthoritySet, _ chain: [Certificate], _ server: ServerID
  ) -> JSONValue {
    [
      "cluster_id": .string(authority.cluster.description),
      "server_id": .string(server.description), "certificate": .string(Certificate.pem(chain)),
      "ca": .string(set.pem),
    ]
  }
}
