import AdminAPI
import Base
import Crypto
import HTTPServer
import Metadata
import Runtime
import Sealing
import Synchronization
import Telemetry
import TestSupport
import Testing
import Trust

/// What storage servers and administrators see of the cluster's trust, over the real server.
struct ClusterEndpointTests {
  private static let server = ServerID(high: 7, low: 8)

  /// Settings in memory.
  final class Settings: SettingStore {
    private let values = Mutex<[String: [UInt8]]>([:])

    func setting(_ name: String) async throws -> [UInt8]? { values.withLock { $0[name] } }

    func replaceSetting(
      _ name: String, expected: [UInt8]?, with value: [UInt8]
    ) async throws -> Bool {
      values.withLock { values in
        guard values[name] == expected else { return false }
        values[name] = value
        return true
      }
    }
  }

  final class Members: Sendable {
    let registered = Mutex<[StorageServerRegistration]>([])
    let error = Mutex<MetadataError?>(nil)
  }

  private func makeFixture(
    _ members: Members, clock: any WallClock = SystemWallClock()
  ) async throws -> (AdminFixture, ClusterAuthority) {
    let authority = ClusterAuthority(
      settings: Settings(),
      keys: KeyRing(cluster: ClusterID(high: 1, low: 2)) {
        SystemRandom().bytes($0)
      }, clock: clock, random: SystemRandom(), log: .none)
    let enrolment = EnrolmentService(
      authority: authority,
      directory: EnrolmentService.Directory(
        register: { registration in
          if let error = members.error.withLock({ $0 }) { throw error }
          members.registered.withLock { $0.append(registration) }
        },
        state: { server in
          members.registered.withLock { $0.contains { $0.id == server } } ? .active : nil
        }), clusterSecret: Array("a secret of this machine".utf8))
    return (try AdminFixture(enrolment: enrolment), authority)
  }

  private func send(
    _ exchange: ProvenExchange, _ client: FilesClient
  ) async throws -> Answer {
    try await client.send(
      "POST", exchange.path, headers: exchange.headers.map { ($0.name, $0.value) },
      body: exchange.body)
  }

  @Test("An administrator's token lets a storage server join, register and renew")
  func wholeWay() async throws {
    let members = Members()
    let (fixture, authority) = try await makeFixture(members)
    try await fixture.serving { root in
      let client = FilesClient(fixture.port, bearer: nil)
      #expect(try await root.send("POST", "cluster/tokens", json: "{}").status == 503)
      try await authority.initialize()
      let made = try await root.send("POST", "cluster/tokens", json: "{\"uses\":3}")
      #expect(made.status == 201)
      let token = try #require(made.json?["token"]?.text.flatMap { JoinToken(text: $0) })
      let key = PrivateKey()
      let name = ClusterNames.server(Self.server)
      func exchange(
        _ path: String, _ body: JSONValue, _ credential: ProvenExchange.Credential
      ) throws -> ProvenExchange {
        try ProvenExchange(
          path: path, body: body, credential: credential, now: SystemWallClock().now,
          random: SystemRandom())
      }
      let request: JSONValue = ["request": .string(CertificateRequest(name: name, key: key).pem)]
      let join = try exchange("/cluster/join", request, .token(token))
      let answer = try await send(join, client)
      #expect(answer.status == 200)
      let value = try join.open(status: answer.status, body: answer.body) { answer.header($0) }
      let identity = try OpenIdentity(
        TransportIdentity(
          caPEM: try #require(value["ca"]?.text),
          certificatePEM: try #require(value["certificate"]?.text), privateKeyPEM: key.pem))
      #expect(identity.server == Self.server)
      let registration = StorageServerRegistration(
        id: Self.server, address: "node:1", zone: "", version: "1",
        stores: [(StoreID(high: 1, low: 1), 100)])
      let register = try exchange("/cluster/register", registration.json, .certificate(identity))
      let registered = try await send(register, client)
      let opened = try register.open(status: registered.status, body: registered.body) {
        registered.header($0)
      }
      #expect(opened["cluster_id"]?.text == "\(ClusterID(high: 1, low: 2))")
      #expect(members.registered.withLock { $0 } == [registration])
      let replayed = try await send(register, client)
      #expect(replayed.status == 401 && replayed.json?["error"]?.text == "replayed")
      let renew = try exchange("/cluster/renew", request, .certificate(identity))
      #expect(try await send(renew, client).status == 200)
      // Stores of another server.
      members.error.withLock { $0 = .alreadyExists("store") }
      let again = try exchange("/cluster/register", registration.json, .certificate(identity))
      #expect(try await send(again, client).status == 409)
      let list = try await root.send("GET", "cluster/tokens")
      #expect(list.json?["tokens"]?.elements?.first?["used"]?.integer == 1)
      #expect(!list.text.contains(token.text))
      #expect(try await root.send("DELETE", "cluster/tokens/\(token.id)").status == 200)
      #expect(try await root.send("DELETE", "cluster/tokens/\(token.id)").status == 404)
      #expect(try await root.send("DELETE", "cluster/tokens/x").status == 404)
      let late = try exchange("/cluster/join", request, .token(token))
      #expect(try await send(late, client).status == 401)
      #expect(try await root.send("POST", "cluster/ca/rotate").json?["authorities"]?.integer == 2)
      #expect(try await root.send("POST", "cluster/ca/retire").json?["retired"]?.integer == 1)
      let ca = try await root.send("GET", "cluster/ca").json?["ca"]?.text
      #expect(try Certificate.parse(pem: ca ?? "").count == 1)
    }
  }

  @Test("Tokens and authorities are for administrators only")
  func administration() async throws {
    let (fixture, authority) = try await makeFixture(Members())
    try await authority.initialize()
    let ann = try await fixture.user("ann", role: .user)
    try await fixture.serving { root in
      var user = root
      (user.id, user.secret) = (ann.id, ann.secret)
      for (method, path) in [
        ("GET", "cluster/tokens"), ("POST", "cluster/tokens"), ("DELETE", "cluster/tokens/x"),
        ("GET", "cluster/ca"), ("POST", "cluster/ca/rotate"), ("POST", "cluster/ca/retire"),
      ] {
        let forbidden = try await user.send(method, path)
        #expect(forbidden.status == 403)
        let stranger = FilesClient(fixture.port, bearer: nil)
        #expect(try await stranger.send(method, "/admin/v1/\(path)").status == 401)
      }
      for json in [
        "{\"uses\":0}", "{\"uses\":\"1\"}", "{\"uses\":1.5}", "{\"server_id\":\"x\"}",
        "{\"more\":1}", "{\"expires_at\":\"2001-01-01\"}", "{\"expires_at\":\"9999-01-01\"}",
      ] {
        #expect(try await root.send("POST", "cluster/tokens", json: json).status == 400, "\(json)")
      }
      #expect(try await root.send("GET", "cluster/tokens").json?["tokens"]?.elements?.count == 0)
    }
  }

  @Test("A token may be for one server only, and is listed with what is left of it")
  func tokens() async throws {
    // The authority's time is long past: what it makes has expired.
    let (fixture, authority) = try await makeFixture(Members(), clock: ManualClock())
    try await authority.initialize()
    try await fixture.serving { root in
      let made = try await root.send(
        "POST", "cluster/tokens", json: "{\"server_id\":\"\(Self.server)\",\"uses\":2}")
      #expect(made.status == 201 && made.json?["server_id"]?.text == "\(Self.server)")
      let list = try await root.fetch("GET", "cluster/tokens")["tokens"]?.elements
      let token = try #require(list?.first)
      #expect(token["id"] == made.json?["id"] && token["status"]?.text == "expired")
      #expect(token["uses"]?.integer == 2 && token["used"]?.integer == 0)
      #expect(token["server_id"]?.text == "\(Self.server)" && token["token"] == nil)
      for (method, path) in [
        ("PUT", "cluster/tokens"), ("POST", "cluster/ca"), ("GET", "cluster"),
        ("POST", "cluster/ca/forget"), ("GET", "cluster/tokens/x"),
      ] {
        try await root.expect(404, "not_found", method, path)
      }
    }
  }

  @Test("Strange requests are refused with JSON that tells nothing, and slowed down")
  func strangers() async throws {
    // Time stands: none of their failures is forgiven meanwhile.
    let (fixture, authority) = try await makeFixture(Members(), clock: ManualClock())
    try await authority.initialize()
    try await fixture.serving { _ in
      let client = FilesClient(fixture.port, bearer: nil)
      for (method, path) in [
        ("GET", "/cluster/join"), ("PUT", "/cluster/join"), ("POST", "/cluster/join?x=1"),
        ("POST", "/cluster/"), ("POST", "/cluster/join/"), ("POST", "/cluster/nothing"),
        ("POST", "/cluster/%6aoin"),
      ] {
        #expect(try await client.send(method, path, body: []).status == 404, "\(method) \(path)")
      }
      let large = [UInt8](repeating: 0x20, count: ClusterCall.maximumBodyBytes + 1)
      #expect(try await client.send("POST", "/cluster/join", body: large).status == 413)
      let two = try await client.send(
        "POST", "/cluster/join", headers: [("Authorization", "a"), ("Authorization", "b")],
        body: [])
      #expect((400..<500).contains(two.status))
      var statuses: [Int] = []
      for _ in 0..<30 {
        let answer = try await client.send(
          "POST", "/cluster/join", headers: [("Authorization", "S3STORAGE-CLUSTER x")], body: [])
        statuses.append(answer.status)
        #expect(answer.json?["error"]?.text != nil && answer.json?["request_id"]?.text != nil)
      }
      #expect(statuses.first == 401 && statuses.last == 429)
    }
  }

  @Test("A process without a cluster has none of it")
  func notProvided() async throws {
    let fixture = try AdminFixture()
    try await fixture.serving { root in
      let tokens = try await root.send("GET", "cluster/tokens")
      #expect(tokens.status == 404)
      let client = FilesClient(fixture.port, bearer: nil)
      #expect(try await client.send("POST", "/cluster/join", body: []).status == 404)
    }
  }
}
