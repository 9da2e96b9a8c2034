import Base
import Crypto
import Metadata
import MetadataSQLite
import Runtime
import Sealing
import Synchronization
import Telemetry
import TestSupport
import Testing

@testable import Trust

/// What membership knows, as a test wants it.
final class FakeDirectory: Sendable {
  struct State {
    var states: [ServerID: StorageServerRecord.State] = [:]
    var registrations: [StorageServerRegistration] = []
    var error: MetadataError?
  }

  let state = Mutex(State())

  func set(_ server: ServerID, _ new: StorageServerRecord.State?) {
    state.withLock { $0.states[server] = new }
  }

  var directory: EnrolmentService.Directory {
    EnrolmentService.Directory(
      register: { registration in
        try self.state.withLock { state in
          if let error = state.error { throw error }
          state.registrations.append(registration)
          state.states[registration.id] = .active
        }
      }, state: { server in self.state.withLock { $0.states[server] } })
  }
}

/// A cluster's trust over a real database; gateways share it and nothing else.
struct TrustFixture: Sendable {
  static let secret = Array("a secret of this machine".utf8)

  let directory = TemporaryDirectory()
  let database: SQLiteMetadata
  let keys = KeyRing(cluster: ClusterID(high: 1, low: 2), random: SystemRandom().bytes)
  let clock = ManualClock(seconds: 1_800_000_000)
  let members = FakeDirectory()
  let lines = LogLines()
  let authority: ClusterAuthority
  let gateway: EnrolmentService

  private init() async throws {
    database = try await SQLiteMetadata.open(
      path: directory.path + "/m.db", pool: ThreadPool(name: "test-sql", threadCount: 2))
    authority = ClusterAuthority(
      settings: database.store, keys: keys, clock: clock, random: SystemRandom(), log: lines.log)
    gateway = EnrolmentService(
      authority: authority, directory: members.directory, clusterSecret: Self.secret)
    try await authority.initialize()
  }

  static func run(_ body: (TrustFixture) async throws -> Void) async throws {
    let fixture = try await TrustFixture()
    do {
      try await body(fixture)
    } catch {
      await fixture.database.close()
      throw error
    }
    await fixture.database.close()
  }

  /// Another process with the same database and master key.
  func anotherGateway() -> EnrolmentService {
    EnrolmentService(
      authority: ClusterAuthority(
        settings: database.store, keys: keys, clock: clock, random: SystemRandom(), log: lines.log),
      directory: members.directory, clusterSecret: Self.secret)
  }

  /// Prepares a request; the clock moves on, as between two real requests.
  func exchange(
    _ operation: ClusterCall.Operation, _ body: JSONValue, _ credential: ProvenExchange.Credential
  ) throws -> ProvenExchange {
    clock.advance(seconds: 1)
    return try ProvenExchange(
      path: operation.rawValue, body: body, credential: credential, now: clock.now,
      random: SystemRandom())
  }

  static func call(
    _ exchange: ProvenExchange, sender: String = "192.0.2.1", isLoopback: Bool = true
  ) throws -> ClusterCall {
    func header(_ name: String) -> String? { exchange.headers.first { $0.name == name }?.value }
    return ClusterCall(
      operation: try #require(ClusterCall.Operation(rawValue: exchange.path)),
      authorization: header("Authorization"), certificate: header("X-Cluster-Certificate"),
      body: exchange.body, sender: sender, isLoopback: isLoopback)
  }

  static func open(_ exchange: ProvenExchange, _ reply: ClusterReply) throws -> JSONValue {
    try exchange.open(status: 200, body: reply.body) { name in
      reply.headers.first { $0.name.lowercased() == name }?.value
    }
  }

  /// Sends a request and reads its proven answer.
  func ask(
    _ operation: ClusterCall.Operation, _ body: JSONValue, _ credential: ProvenExchange.Credential,
    at gateway: EnrolmentService? = nil
  ) async throws -> JSONValue {
    let exchange = try exchange(operation, body, credential)
    let reply = try await (gateway ?? self.gateway).answer(Self.call(exchange))
    return try Self.open(exchange, reply)
  }

  /// Joins and returns the identity.
  func join(
    _ server: ServerID, _ token: JoinToken, key: PrivateKey = PrivateKey()
  ) async throws -> TransportIdentity {
    let request = CertificateRequest(name: ClusterNames.server(server), key: key)
    let answer = try await ask(.join, ["request": .string(request.pem)], .token(token))
    return TransportIdentity(
      caPEM: try #require(answer["ca"]?.text),
      certificatePEM: try #require(answer["certificate"]?.text), privateKeyPEM: key.pem)
  }

  static func registration(
    _ server: ServerID, address: String = "127.0.0.1:5000"
  ) -> StorageServerRegistration {
    StorageServerRegistration(
      id: server, address: address, zone: "z1", version: "0.1.0",
      stores: [(StoreID(high: server.high, low: 1), 100), (StoreID(high: server.high, low: 2), 50)])
  }

  /// Renews and returns the next identity.
  func renew(_ identity: TransportIdentity) async throws -> TransportIdentity {
    let open = try OpenIdentity(identity)
    let server = try #require(open.server)
    let request = CertificateRequest(name: ClusterNames.server(server), key: open.key)
    let answer = try await ask(.renew, ["request": .string(request.pem)], .certificate(open))
    return TransportIdentity(
      caPEM: try #require(answer["ca"]?.text),
      certificatePEM: try #require(answer["certificate"]?.text),
      privateKeyPEM: identity.privateKeyPEM)
  }

  /// Expects a refusal and returns it.
  func refusal(_ body: () async throws -> Void) async -> TrustError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? TrustError
    }
  }
}

/// What was logged.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  var log: Log {
    Log(
      component: "test", minimum: .debug, sink: { line in self.lines.withLock { $0.append(line) } })
  }
  var text: String { lines.withLock { $0.joined(separator: "\n") } }
}
