import Base
import Crypto
import Metadata
import Runtime
import Synchronization
import Telemetry
import Trust

/// How a storage server deals with the gateways of its cluster: joins, registers, renews. The
/// functions may be called from any task; one process at a time uses the directory.
final class Enrolment: Sendable {
  private static let answerLimit = 1 << 20
  private static let timeoutSeconds = 15
  private static let longestPause = 30_000

  let directory: ClusterDirectory
  private let gateways: [AdminEndpoint]
  private let trust: TLSTrust
  private let secret: [UInt8]?
  private let pool: ThreadPool
  private let clock: any WallClock
  private let random: any RandomSource
  private let log: Log
  /// The time of the newest request: each has a later one, however the clock goes.
  private let lastTime = Mutex(Timestamp(milliseconds: 0))

  /// Speaks to `gateways`, Admin APIs as `http(s)://host:port`, over `pool`, whose threads may
  /// block. `clusterSecret` is used while the directory holds no certificate.
  init(
    directory: ClusterDirectory, gateways: [String], trust: TLSTrust = .system,
    clusterSecret: [UInt8]? = nil, pool: ThreadPool, clock: any WallClock = SystemWallClock(),
    random: any RandomSource = SystemRandom(), log: Log
  ) throws {
    guard !gateways.isEmpty else { throw AdminUsageError("a gateway's Admin API is needed") }
    self.gateways = try gateways.map { try AdminEndpoint($0) }
    self.directory = directory
    self.trust = trust
    self.pool = pool
    self.clock = clock
    self.random = random
    self.log = log.named("enrolment")
    secret = clusterSecret
    if let clusterSecret, clusterSecret.count < EnrolmentService.minimumSecretByteCount {
      throw StartError(
        "the cluster secret has fewer than \(EnrolmentService.minimumSecretByteCount) bytes")
    }
  }

  /// Joins with a token: gets a certificate for the key that is there, or for a new one where there
  /// is none or `withNewKey` says so. An interrupted join is gone on with. Throws what the last of
  /// the gateways said.
  func join(token: JoinToken, withNewKey: Bool = false) async throws {
    let (server, key) = try await pool.run { [directory, random] in
      try directory.make()
      return (
        try directory.serverID(random: random), try Self.joinKey(directory, isNew: withNewKey)
      )
    }
    let name = ClusterNames.server(server)
    let request = CertificateRequest(name: name, key: key)
    let answer = try await askAny(
      "/cluster/join", ["request": .string(request.pem)], .token(token))
    try await pool.run { [directory, clock] in
      let (cluster, identity) = try Self.read(answer, key: key, name: name, now: clock.now)
      try directory.setClusterID(cluster)
      try directory.write(identity.caPEM, to: directory.authorities)
      try directory.write(identity.certificatePEM, to: directory.certificate)
      try directory.promoteKey()
    }
  }

  /// Registers with any of the gateways and returns the cluster. Tries them in turn, again and
  /// again with pauses of up to 30 s, until one takes it; throws when the task is cancelled, when
  /// there is nothing to prove with, and when the data directory belongs to another cluster.
  func register(_ registration: StorageServerRegistration) async throws -> ClusterID {
    var pause = 500
    while true {
      do {
        return try await registerOnce(registration)
      } catch let error as AdminFailure {
        log.warning("no gateway has taken the registration yet", [("reason", "\(error)")])
      } catch let error as TrustError {
        log.warning("no gateway has taken the registration yet", [("reason", "\(error)")])
      }
      try await Task.sleep(for: .milliseconds(pause / 2 + Int(random.next() % UInt64(pause))))
      pause = min(pause * 2, Self.longestPause)
    }
  }

  /// Registers with the first of the gateways that takes it. Trusted authorities that the answer
  /// brings are kept. Throws `AdminFailure` or `TrustError` when none does.
  func registerOnce(_ registration: StorageServerRegistration) async throws -> ClusterID {
    let credential: ProvenExchange.Credential
    if let identity = try await openIdentity() {
      credential = .certificate(identity)
    } else if let secret {
      credential = .secret(secret, registration.id)
    } else {
      throw StartError("neither a certificate (cluster join) nor a cluster secret is there")
    }
    let answer = try await askAny("/cluster/register", registration.json, credential)
    guard let cluster = answer["cluster_id"]?.text.flatMap({ ClusterID(hex: $0) }) else {
      throw AdminFailure("the gateway's answer names no cluster")
    }
    try await pool.run { [directory] in
      try directory.make()
      try directory.setClusterID(cluster)
      guard let pem = answer["ca"]?.text else { return }
      let authorities = try Certificate.parse(pem: pem)
      guard authorities.allSatisfy(\.isAuthority) else {
        throw AdminFailure("the gateway's answer holds a certificate that is no authority")
      }
      if try directory.read(directory.authorities) != pem {
        try directory.write(pem, to: directory.authorities)
      }
    }
    return cluster
  }

  /// Renews the certificate when a third of its lifetime is left or another authority signs now.
  /// Returns the identity to put in force, nil when nothing was due. Throws when no gateway
  /// renews; call again later.
  func renewIfDue() async throws -> TransportIdentity? {
    guard let open = try await openIdentity(), let server = open.server,
      open.isDue(at: clock.now)
    else { return nil }
    let name = ClusterNames.server(server)
    let request = CertificateRequest(name: name, key: open.key)
    let answer = try await askAny(
      "/cluster/renew", ["request": .string(request.pem)], .certificate(open))
    let identity = try await pool.run { [directory, clock] in
      let (cluster, identity) = try Self.read(answer, key: open.key, name: name, now: clock.now)
      try directory.setClusterID(cluster)
      // New authorities before what they have signed: old certificates fit either.
      try directory.write(identity.caPEM, to: directory.authorities)
      try directory.write(identity.certificatePEM, to: directory.certificate)
      return identity
    }
    log.info("the certificate was renewed")
    return identity
  }

  /// The identity in force; nil before a join.
  func identity() async throws -> TransportIdentity? {
    try await pool.run { [directory] in try directory.identity() }
  }

  // MARK: Exchanges

  private func openIdentity() async throws -> OpenIdentity? {
    try await identity().map { try OpenIdentity($0) }
  }

  /// Asks the gateways in turn; throws what the last one said.
  private func askAny(
    _ path: String, _ body: JSONValue, _ credential: ProvenExchange.Credential
  ) async throws -> JSONValue {
    var failure: any Error = AdminFailure("there is no gateway")
    for gateway in gateways {
      try Task.checkCancellation()
      do {
        return try await ask(gateway, path, body, credential)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  private func ask(
    _ gateway: AdminEndpoint, _ path: String, _ body: JSONValue,
    _ credential: ProvenExchange.Credential
  ) async throws -> JSONValue {
    let exchange = try ProvenExchange(
      path: path, body: body, credential: credential, now: nextTime(), random: random)
    var head = "POST \(path) HTTP/1.1\r\nHost: \(gateway.authority)\r\n"
    for (name, value) in exchange.headers { head += "\(name): \(value)\r\n" }
    head += "Content-Type: application/json\r\nContent-Length: \(exchange.body.count)\r\n"
    head += "Connection: close\r\n\r\n"
    let request = Array(head.utf8) + exchange.body
    return try await pool.run { [trust] in
      let answer = try HTTPExchange(
        gateway, trust: trust, timeoutSeconds: Self.timeoutSeconds, request: request)
      let body = try answer.readBody(upTo: Self.answerLimit)
      return try exchange.open(status: answer.status, body: body) { answer.field($0) }
    }
  }

  private func nextTime() -> Timestamp {
    lastTime.withLock { last in
      last = max(clock.now, last.advanced(byMilliseconds: 1))
      return last
    }
  }

  // MARK: Answers

  /// The key to join with: that of an interrupted join, the one in force, or a new one, which is
  /// on stable storage before anybody hears of it.
  private static func joinKey(
    _ directory: ClusterDirectory, isNew: Bool
  ) throws -> PrivateKey {
    for path in [directory.nextKey] + (isNew ? [] : [directory.key]) {
      if let pem = try directory.read(path), let key = try? PrivateKey(pem: pem) { return key }
    }
    let key = PrivateKey()
    try directory.write(key.pem, to: directory.nextKey)
    return key
  }

  /// The certificate of an answer, which must be for this key and name under its authorities.
  private static func read(
    _ answer: JSONValue, key: PrivateKey, name: String, now: Timestamp
  ) throws -> (ClusterID, TransportIdentity) {
    guard let cluster = answer["cluster_id"]?.text.flatMap({ ClusterID(hex: $0) }),
      let ca = answer["ca"]?.text, let chain = answer["certificate"]?.text
    else { throw AdminFailure("the gateway's answer holds no certificate") }
    let identity = TransportIdentity(
      caPEM: ca, certificatePEM: chain, privateKeyPEM: key.pem)
    let open = try OpenIdentity(identity)
    try CertificateVerifier(trusting: open.authorities).verify(
      open.chain, as: .server, name: name, at: now)
    return (cluster, identity)
  }
}
