public import Base
import Crypto
public import Metadata
import Runtime
import Synchronization
import Telemetry

/// Admits storage servers: joins, renewals and registrations, as a gateway answers them.
///
/// May be used from any task. Every call is proven by its sender and every answer by this side;
/// what came once is not taken twice, not by another gateway either.
public final class EnrolmentService: Sendable {
  /// What the service asks of the membership; both throw `MetadataError`.
  public struct Directory: Sendable {
    /// Adds a storage server, or brings what is known of it up to date.
    public var register: @Sendable (StorageServerRegistration) async throws -> Void
    /// What is wanted of a storage server; nil when it never registered.
    public var state: @Sendable (ServerID) async throws -> StorageServerRecord.State?

    /// Asks these.
    public init(
      register: @escaping @Sendable (StorageServerRegistration) async throws -> Void,
      state: @escaping @Sendable (ServerID) async throws -> StorageServerRecord.State?
    ) {
      self.register = register
      self.state = state
    }
  }

  /// The shortest secret of a cluster on one machine, in bytes.
  public static let minimumSecretByteCount = 16

  /// The authority that signs.
  public let authority: ClusterAuthority
  let directory: Directory
  private let secret: [UInt8]?
  private let replays = ReplayGuard()
  private let failures = FailureLimiter()
  private let identity = Mutex<(transport: TransportIdentity, open: OpenIdentity)?>(nil)

  /// Admits to `directory`. `clusterSecret` lets storage servers on this machine register without
  /// a certificate; nil, or a secret that is too short, refuses that.
  public init(
    authority: ClusterAuthority, directory: Directory, clusterSecret: [UInt8]? = nil
  ) {
    self.authority = authority
    self.directory = directory
    secret = clusterSecret.flatMap { $0.count >= Self.minimumSecretByteCount ? $0 : nil }
  }

  /// The certificate of this gateway with its key and the trusted authorities, made at first use
  /// and again when a third of its lifetime is left or the authorities have changed. Ask again now
  /// and then: another value means that it is to be put in force. Throws `notReady` before
  /// `cluster init`.
  public func gatewayIdentity() async throws -> TransportIdentity {
    try await ChangeLogPolicy.$mayLogLater.withValue(true) {
      try await currentIdentity().transport
    }
  }

  /// Answers a call. Throws `TrustError` or `MetadataError`.
  public func answer(_ call: ClusterCall) async throws -> ClusterReply {
    // Without these calls there would never be a store to keep a change log in.
    try await ChangeLogPolicy.$mayLogLater.withValue(true) { try await admit(call) }
  }

  private func admit(_ call: ClusterCall) async throws -> ClusterReply {
    let now = authority.clock.now
    try failures.check(call.sender, now: now)
    do {
      let (sender, canonical, statement) = try await prove(call, now: now)
      guard replays.admit(statement.nonce, now: now) else { throw TrustError.replayed }
      if let server = sender.server { try await authority.claim(statement.time, of: server) }
      let body = try await perform(call, sender)
      return try await reply(Array(body.encoded.utf8), to: sender, canonical)
    } catch let error as TrustError {
      switch error {
      case .unauthorized, .clock, .replayed, .malformed, .refused:
        failures.fail(call.sender, now: now)
        authority.log.warning(
          "a storage server was refused",
          [
            ("sender", call.sender), ("operation", call.operation.rawValue),
            ("reason", error.description),
          ])
      default: break
      }
      throw error
    }
  }

  // MARK: Proofs

  private func prove(
    _ call: ClusterCall, now: Timestamp
  ) async throws -> (ProvenSender, canonical: [UInt8], Proof.Statement) {
    guard let (statement, proof) = call.authorization.flatMap(Proof.Statement.parse) else {
      throw TrustError.unauthorized
    }
    let certificate = call.certificate ?? ""
    guard certificate.utf8.count <= Proof.maximumFieldBytes,
      certificate.isEmpty == (statement.kind != .certificate)
    else { throw TrustError.unauthorized }
    let distance = statement.time.milliseconds.subtractingReportingOverflow(now.milliseconds)
    guard !distance.overflow, abs(distance.partialValue) <= TrustConfiguration.window else {
      throw TrustError.clock
    }
    let canonical = statement.canonical(
      method: "POST", path: call.operation.rawValue, body: call.body, certificate: certificate)
    let sender: ProvenSender
    switch statement.kind {
    case .token: sender = try await proveToken(statement, proof, canonical)
    case .secret: sender = try proveSecret(call, statement, proof, canonical)
    case .certificate:
      sender = try await proveCertificate(statement, proof, canonical, certificate, now)
    }
    return (sender, canonical, statement)
  }

  private func proveToken(
    _ statement: Proof.Statement, _ proof: [UInt8], _ canonical: [UInt8]
  ) async throws -> ProvenSender {
    guard let id = JoinToken.ID(bytes: statement.id) else { throw TrustError.unauthorized }
    let found = try await authority.openToken(id)
    // An unknown token costs what a known one does.
    let secret = found?.secret ?? [UInt8](repeating: 0, count: JoinToken.secretByteCount)
    let key = Proof.key(.token, secret: secret, id: statement.id, isAnswer: false)
    guard ConstantTime.equals(HMAC.sha256(key: key, message: canonical), proof), let found else {
      throw TrustError.unauthorized
    }
    return .token(id, secret: found.secret, found.record)
  }

  private func proveSecret(
    _ call: ClusterCall, _ statement: Proof.Statement, _ proof: [UInt8], _ canonical: [UInt8]
  ) throws -> ProvenSender {
    guard call.isLoopback, let secret, let server = ServerID(bytes: statement.id) else {
      throw TrustError.unauthorized
    }
    let key = Proof.key(.secret, secret: secret, id: statement.id, isAnswer: false)
    guard ConstantTime.equals(HMAC.sha256(key: key, message: canonical), proof) else {
      throw TrustError.unauthorized
    }
    return .secret(server, secret: secret)
  }

  private func proveCertificate(
    _ statement: Proof.Statement, _ proof: [UInt8], _ canonical: [UInt8], _ field: String,
    _ now: Timestamp
  ) async throws -> ProvenSender {
    guard let server = ServerID(bytes: statement.id) else { throw TrustError.unauthorized }
    let trusted = try await authority.load().certificates
    do throws(CertificateError) {
      let chain = try CertificateField.decode(field)
      try CertificateVerifier(trusting: trusted).verify(
        chain, as: .server, name: ClusterNames.server(server), at: now)
      guard let first = chain.first, first.verify(proof, of: canonical) else {
        throw .untrusted("the signature does not fit")
      }
      return .certificate(server, first)
    } catch {
      throw TrustError.unauthorized
    }
  }

  private func reply(
    _ body: [UInt8], to sender: ProvenSender, _ canonical: [UInt8]
  ) async throws -> ClusterReply {
    let message = Proof.canonicalAnswer(request: canonical, status: 200, body: body)
    var headers: [(name: String, value: String)] = []
    let proof: [UInt8]
    switch sender {
    case .token(let id, let secret, _):
      let key = Proof.key(.token, secret: secret, id: id.bytes, isAnswer: true)
      proof = HMAC.sha256(key: key, message: message)
    case .secret(let server, let secret):
      let key = Proof.key(.secret, secret: secret, id: server.bytes, isAnswer: true)
      proof = HMAC.sha256(key: key, message: message)
    case .certificate:
      let identity = try await currentIdentity().open
      proof = identity.key.sign(message)
      headers.append((name: "X-Cluster-Certificate", CertificateField.encode(identity.chain)))
    }
    headers.append((name: "X-Cluster-Proof", value: Hex.encode(proof)))
    return ClusterReply(headers: headers, body: body)
  }

  private func currentIdentity() async throws -> (
    transport: TransportIdentity, open: OpenIdentity
  ) {
    let set = try await authority.load()
    let now = authority.clock.now
    if let current = identity.withLock({ $0 }), current.transport.caPEM == set.pem,
      !current.open.isDue(at: now)
    {
      return current
    }
    let transport = try authority.issueGateway(set)
    let made = (transport: transport, open: try OpenIdentity(transport))
    identity.withLock { $0 = made }
    return made
  }
}
