import Base
import Crypto
import Metadata
import Runtime
import Testing

@testable import Trust

/// Rotation of authorities, secrets of one machine, limits, and what is never shown.
struct RotationAndLimitTests {
  private static let server = ServerID(high: 7, low: 8)

  @Test("After a rotation old and new certificates are trusted both ways, until the old CA retires")
  func rotation() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let old = try await fixture.join(Self.server, token)
      let body = TrustFixture.registration(Self.server).json
      _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(old)))
      let oldGateway = try OpenIdentity(try await fixture.gateway.gatewayIdentity())
      #expect(try await fixture.authority.rotate() == 2)
      let newGateway = try OpenIdentity(try await fixture.gateway.gatewayIdentity())
      #expect(newGateway.chain.count == 2 && newGateway.authorities.count == 2)
      // A storage server that knows only the old authority trusts the new gateway's certificate.
      let knowsOld = try OpenIdentity(old)
      #expect(knowsOld.authorities.count == 1)
      try CertificateVerifier(trusting: knowsOld.authorities).verify(
        newGateway.chain, as: .client, name: ClusterNames.gateway, at: fixture.clock.now)
      try CertificateVerifier(trusting: newGateway.authorities).verify(
        knowsOld.chain, as: .server, name: ClusterNames.server(Self.server), at: fixture.clock.now)
      // It registers with what it has and learns of the new authority.
      let answer = try await fixture.ask(.register, body, .certificate(knowsOld))
      var learned = old
      learned.caPEM = try #require(answer["ca"]?.text)
      #expect(try OpenIdentity(learned).isDue(at: fixture.clock.now))
      try CertificateVerifier(trusting: try OpenIdentity(learned).authorities).verify(
        oldGateway.chain, as: .client, name: ClusterNames.gateway, at: fixture.clock.now)
      let new = try await fixture.renew(learned)
      #expect(!(try OpenIdentity(new)).isDue(at: fixture.clock.now))
      #expect(try await fixture.authority.retireOldAuthorities() == 1)
      _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(new)))
      #expect(
        await fixture.refusal { _ = try await fixture.ask(.register, body, .certificate(knowsOld)) }
          == .unauthorized)
      let last = try OpenIdentity(try await fixture.gateway.gatewayIdentity())
      #expect(last.chain.count == 1 && last.authorities.count == 1)
      #expect(throws: CertificateError.self) {
        try CertificateVerifier(trusting: last.authorities).verify(
          oldGateway.chain, as: .client, name: ClusterNames.gateway, at: fixture.clock.now)
      }
    }
  }

  @Test("An old authority ends once every member was seen to go by the new one, or by force")
  func retirement() async throws {
    try await TrustFixture.run { fixture in
      let unsecured = ServerID(high: 7, low: 9)
      let users = AuthorityUsers(servers: [Self.server, unsecured], writers: [3, 5])
      let authority = ClusterAuthority(
        settings: fixture.database.store, keys: fixture.keys, clock: fixture.clock,
        random: SystemRandom(), users: { users }, log: fixture.lines.log)
      let (token, _) = try await authority.makeToken()
      let old = try await fixture.join(Self.server, token)
      let body = TrustFixture.registration(Self.server).json
      _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(old)))
      _ = try await fixture.ask(
        .register, TrustFixture.registration(unsecured).json,
        .secret(TrustFixture.secret, unsecured))
      let all = ["the gateway with epoch 3", "the gateway with epoch 5"]
      #expect(try await authority.membersBehind(users) == all)
      let oldGateway = try await fixture.gateway.gatewayIdentity()
      for writer in users.writers {
        try await authority.noteUse(oldGateway, byWriter: writer, living: users.writers)
      }
      #expect(try await authority.membersBehind(users) == [])
      try await authority.rotate()
      let server = "storage server \(Self.server)"
      #expect(try await authority.membersBehind(users) == [server] + all)
      // With the certificate that it has, it is behind still.
      _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(old)))
      let refusal = await fixture.refusal { try await authority.retireOldAuthorities() }
      guard case .conflict(let text) = refusal else {
        Issue.record("not refused: \(String(describing: refusal))")
        return
      }
      #expect(text.contains(server) && text.contains(all[0]) && text.contains(all[1]))
      let new = try await fixture.renew(old)
      _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(new)))
      let newGateway = try await fixture.gateway.gatewayIdentity()
      try await authority.noteUse(newGateway, byWriter: 3, living: users.writers)
      #expect(try await authority.membersBehind(users) == [all[1]])
      // Of a gateway that is gone nothing is kept.
      try await authority.noteUse(newGateway, byWriter: 6, living: [3, 6])
      #expect(
        try await authority.membersBehind(AuthorityUsers(servers: [], writers: [3, 5, 6])) == [
          all[1]
        ])
      #expect(try await authority.retireOldAuthorities(isForced: true) == 1)
      try await authority.noteUse(newGateway, byWriter: 5, living: [3, 5])
      #expect(try await authority.retireOldAuthorities() == 0)
    }
  }

  @Test("Rotations of several processes at once are all kept")
  func concurrentRotations() async throws {
    try await TrustFixture.run { fixture in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 { group.addTask { try await fixture.anotherGateway().authority.rotate() } }
        var counts: [Int] = []
        for try await count in group { counts.append(count) }
        #expect(counts.sorted() == [2, 3, 4, 5])
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<8 {
          group.addTask { _ = try await fixture.anotherGateway().authority.makeToken() }
        }
        try await group.waitForAll()
      }
      #expect(try await fixture.authority.tokens().count == 8)
    }
  }

  @Test("A token for two servers admits two of many at once")
  func concurrentJoins() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken(uses: 2)
      let admitted = await withTaskGroup(of: Bool.self) { group in
        for index in 1...6 {
          group.addTask {
            let server = ServerID(high: 1, low: UInt64(index))
            return (try? await fixture.join(server, token)) != nil
          }
        }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(admitted == 2)
    }
  }

  @Test("Of many keys that join under one name at once, one gets a certificate")
  func concurrentNames() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let admitted = await withTaskGroup(of: Bool.self) { group in
        for _ in 0..<6 {
          group.addTask { (try? await fixture.join(Self.server, token)) != nil }
        }
        return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
      }
      #expect(admitted == 1)
    }
  }

  @Test("The secret of one machine registers from this machine, and nothing else")
  func clusterSecret() async throws {
    try await TrustFixture.run { fixture in
      let right = ProvenExchange.Credential.secret(TrustFixture.secret, Self.server)
      let body = TrustFixture.registration(Self.server).json
      let answer = try await fixture.ask(.register, body, right)
      #expect(answer["cluster_id"]?.text == fixture.keys.cluster.description)
      #expect(answer["ca"] == .null)
      func refusal(
        _ operation: ClusterCall.Operation = .register, _ body: JSONValue,
        _ credential: ProvenExchange.Credential, isLoopback: Bool = true,
        at gateway: EnrolmentService? = nil
      ) async throws -> TrustError? {
        let exchange = try fixture.exchange(operation, body, credential)
        return await fixture.refusal {
          _ = try await (gateway ?? fixture.gateway).answer(
            TrustFixture.call(exchange, isLoopback: isLoopback))
        }
      }
      let wrong = ProvenExchange.Credential.secret(Array("another secret, long".utf8), Self.server)
      #expect(try await refusal(.register, body, wrong) == .unauthorized)
      #expect(try await refusal(.register, body, right, isLoopback: false) == .unauthorized)
      let remote = TrustFixture.registration(Self.server, address: "192.0.2.9:1").json
      #expect(try await refusal(.register, remote, right) != nil)
      #expect(try await refusal(.join, body, right) != nil)
      let other = ProvenExchange.Credential.secret(TrustFixture.secret, ServerID(high: 1, low: 1))
      #expect(try await refusal(.register, body, other) != nil)
      for none in [nil, [], Array("short".utf8)] as [[UInt8]?] {
        let gateway = EnrolmentService(
          authority: fixture.authority, directory: fixture.members.directory, clusterSecret: none)
        #expect(
          try await refusal(.register, body, .secret(none ?? [], Self.server), at: gateway)
            == .unauthorized)
      }
    }
  }

  @Test("Who fails often is slowed down; others are not")
  func limits() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let bad = ClusterCall(
        operation: .join, authorization: "x", certificate: nil, body: [], sender: "203.0.113.5",
        isLoopback: false)
      for _ in 0..<20 {
        #expect(
          await fixture.refusal { _ = try await fixture.gateway.answer(bad) } == .unauthorized)
      }
      #expect(await fixture.refusal { _ = try await fixture.gateway.answer(bad) } == .tooMany)
      _ = try await fixture.join(Self.server, token)
      fixture.clock.advance(seconds: 4)
      #expect(
        await fixture.refusal { _ = try await fixture.gateway.answer(bad) } == .unauthorized)
    }
  }

  @Test("Registrations out of bounds are refused")
  func registrations() async throws {
    let good = TrustFixture.registration(Self.server)
    #expect(try StorageServerRegistration(json: good.json) == good)
    var replacing = good
    let gone = StoreID(high: 0x90e, low: 1)
    replacing.replacedStores = [.init(old: gone, new: good.stores[0].id)]
    replacing.replacing = ServerID(high: 3, low: 4)
    #expect(try StorageServerRegistration(json: replacing.json) == replacing)
    let new = JSONValue.string("\(good.stores[0].id)")
    func changed(_ name: String, _ value: JSONValue) -> JSONValue {
      guard case .object(var members) = good.json else { return .null }
      members.removeAll { $0.name == name }
      members.append(JSONValue.Member(name, value))
      return .object(members)
    }
    let store: JSONValue = ["id": .string(String(repeating: "a", count: 32)), "weight": 1]
    let bad: [JSONValue] = [
      changed("address", "host"), changed("address", "host:0"), changed("address", "host:70000"),
      changed("address", ":1"), changed("address", "a b:1"), changed("address", "::1:80"),
      changed("address", "h:+1"), changed("address", "h\n:1"), changed("server_id", "x"),
      changed("zone", "a b"), changed("zone", .string(String(repeating: "z", count: 65))),
      changed("stores", []), changed("stores", [store, store]), changed("more", 1),
      changed("stores", .array(Array(repeating: store, count: 257))),
      changed("stores", [["id": "x", "weight": 1]]), changed("version", 1),
      changed("stores", [["id": .string(String(repeating: "a", count: 32)), "weight": 0]]),
      changed("stores", [["id": .string(String(repeating: "a", count: 32)), "weight": 10_001]]),
      changed("replacing", "x"), changed("replacing", 1), changed("replaced_stores", []),
      changed("replaced_stores", [["old": new, "new": new]]),
      changed("replaced_stores", [["old": .string("\(gone)"), "new": .string("\(gone)")]]),
      changed("replaced_stores", [["old": "x", "new": new]]),
      .null, [],
    ]
    for json in bad {
      #expect(throws: TrustError.self, "\(json.encoded.prefix(200))") {
        try StorageServerRegistration(json: json)
      }
    }
    for address in ["[2001:db8::1]:50051", "node-1.example:1", "10.0.0.1:65535"] {
      #expect(StorageServerRegistration.isAddress(address))
    }
  }

  @Test("Random bytes in every field are refused and never trap", arguments: 1...20)
  func fuzz(_ seed: UInt64) async throws {
    try await TrustFixture.run { fixture in
      let random = SeededRandom(seed: seed)
      let (token, _) = try await fixture.authority.makeToken()
      let request = CertificateRequest(name: ClusterNames.server(Self.server), key: PrivateKey())
      let good = try TrustFixture.call(
        try fixture.exchange(.join, ["request": .string(request.pem)], .token(token)))
      for index in 0..<60 {
        var call = good
        call.sender = "\(index)"
        func mangle(_ bytes: [UInt8]) -> [UInt8] {
          var bytes = bytes
          for _ in 0...random.next() % 4 where !bytes.isEmpty {
            let place = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 3 {
            case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.remove(at: place)
            default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
            }
          }
          return bytes
        }
        switch random.next() % 3 {
        case 0:
          call.authorization = String(
            decoding: mangle(Array((good.authorization ?? "").utf8)), as: UTF8.self)
        case 1:
          call.body = mangle(good.body)
        default: call.certificate = String(decoding: mangle(good.body), as: UTF8.self)
        }
        guard
          call.authorization != good.authorization || call.body != good.body
            || call.certificate != good.certificate
        else { continue }
        #expect(
          await fixture.refusal { _ = try await fixture.gateway.answer(call) } != nil,
          "seed \(seed), round \(index)")
      }
      _ = try await fixture.gateway.answer(good)
      // Proven, and still nonsense inside.
      for _ in 0..<10 {
        let text = Hex.encode(random.bytes(Int(random.next() % 600)))
        #expect(
          await fixture.refusal {
            _ = try await fixture.ask(.join, ["request": .string(text)], .token(token))
          } != nil)
      }
    }
  }

  @Test("Neither traffic nor log nor database shows a secret")
  func secrecy() async throws {
    try await TrustFixture.run { fixture in
      let (token, record) = try await fixture.authority.makeToken()
      let key = PrivateKey()
      let request = CertificateRequest(name: ClusterNames.server(Self.server), key: key)
      let exchange = try fixture.exchange(
        .join, ["request": .string(request.pem)], .token(token))
      let reply = try await fixture.gateway.answer(TrustFixture.call(exchange))
      _ = await fixture.refusal {
        _ = try await fixture.gateway.answer(TrustFixture.call(exchange))
      }
      let stored = try #require(try await fixture.database.store.setting(TokenList.settingName))
      let shown =
        "\(exchange) \(exchange.headers) \(reply.headers) \(token) \(record) \(fixture.lines.text)"
        + String(reflecting: token) + String(decoding: exchange.body + reply.body, as: UTF8.self)
        + String(decoding: stored, as: UTF8.self)
      #expect(shown.contains(token.id.description), "the text is the one that is meant")
      let secrets = [
        token.text, String(token.text.dropFirst(32)), Hex.encode(token.secret),
        Base64.encode(token.secret), Base64.encodeURLSafe(token.secret), "PRIVATE",
        String(describing: token.secret),
      ]
      for secret in secrets { #expect(!shown.contains(secret)) }
    }
  }
}
