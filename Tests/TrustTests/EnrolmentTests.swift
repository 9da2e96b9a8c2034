import Base
import Crypto
import Metadata
import Runtime
import Testing

@testable import Trust

/// How storage servers come in, stay, and are kept out.
struct EnrolmentTests {
  private static let server = ServerID(high: 7, low: 8)

  @Test("A token admits a server, whose certificate then registers and renews it")
  func admission() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let identity = try await fixture.join(Self.server, try #require(JoinToken(text: token.text)))
      let open = try OpenIdentity(identity)
      #expect(open.server == Self.server && open.chain.count == 1)
      let verifier = CertificateVerifier(trusting: open.authorities)
      let name = ClusterNames.server(Self.server)
      try verifier.verify(open.chain, as: .server, name: name, at: fixture.clock.now)
      // A storage server is no client of TLS: it cannot call another one.
      #expect(throws: CertificateError.self) {
        try verifier.verify(open.chain, as: .client, name: nil, at: fixture.clock.now)
      }
      let registration = TrustFixture.registration(Self.server, address: "node1:50051")
      let answer = try await fixture.ask(.register, registration.json, .certificate(open))
      #expect(answer["cluster_id"]?.text == fixture.keys.cluster.description)
      #expect(fixture.members.state.withLock { $0.registrations } == [registration])
      #expect(!open.isDue(at: fixture.clock.now))
      fixture.clock.advance(days: 61)
      #expect(open.isDue(at: fixture.clock.now))
      let next = try OpenIdentity(try await fixture.renew(identity))
      #expect(next.certificate.notAfter > open.certificate.notAfter)
      #expect(!next.isDue(at: fixture.clock.now) && next.server == Self.server)
    }
  }

  @Test("A gateway's certificate is for a client named gateway, and is made anew in time")
  func gatewayIdentity() async throws {
    try await TrustFixture.run { fixture in
      let first = try await fixture.gateway.gatewayIdentity()
      #expect(try await fixture.gateway.gatewayIdentity() == first)
      let open = try OpenIdentity(first)
      #expect(open.certificate.dnsNames == [ClusterNames.gateway] && open.server == nil)
      let verifier = CertificateVerifier(trusting: open.authorities)
      try verifier.verify(
        open.chain, as: .client, name: ClusterNames.gateway, at: fixture.clock.now)
      #expect(throws: CertificateError.self) {
        try verifier.verify(
          open.chain, as: .server, name: ClusterNames.gateway, at: fixture.clock.now)
      }
      fixture.clock.advance(days: 21)
      #expect(try await fixture.gateway.gatewayIdentity() != first)
    }
  }

  @Test("The authority is made once, whoever begins")
  func initialization() async throws {
    try await TrustFixture.run { fixture in
      let before = try await fixture.authority.trustedPEM()
      #expect(try await fixture.authority.initialize() == false)
      #expect(try await fixture.authority.trustedPEM() == before)
      let stored = try #require(
        try await fixture.database.store.setting(AuthoritySet.settingName))
      #expect(!String(decoding: stored, as: UTF8.self).contains("PRIVATE"))
    }
  }

  @Test("Wrong, changed, revoked, expired and used-up tokens admit nobody")
  func tokens() async throws {
    try await TrustFixture.run { fixture in
      let (good, _) = try await fixture.authority.makeToken(uses: 1)
      let wrong = JoinToken(id: good.id, secret: SystemRandom().bytes(32))
      let unknown = JoinToken(id: JoinToken.ID(high: 1, low: 1), secret: good.secret)
      for token in [wrong, unknown] {
        #expect(
          await fixture.refusal { _ = try await fixture.join(Self.server, token) } == .unauthorized)
      }
      let key = PrivateKey()
      _ = try await fixture.join(Self.server, good, key: key)
      // An answer that was lost: the same key again is no second use.
      _ = try await fixture.join(Self.server, good, key: key)
      let other = ServerID(high: 9, low: 9)
      #expect(
        await fixture.refusal { _ = try await fixture.join(other, good) }
          == .refused("the token is used up"))
      let (short, _) = try await fixture.authority.makeToken(lifetime: 60_000)
      fixture.clock.advance(seconds: 61)
      #expect(
        await fixture.refusal { _ = try await fixture.join(other, short) }
          == .refused("the token has expired or was revoked"))
      let (revoked, _) = try await fixture.authority.makeToken()
      try await fixture.authority.revokeToken(revoked.id)
      #expect(
        await fixture.refusal { _ = try await fixture.join(other, revoked) } == .unauthorized)
      #expect(await fixture.refusal { try await fixture.authority.revokeToken(revoked.id) } != nil)
      #expect(try await fixture.authority.tokens().map(\.id) == [good.id, short.id])
      for text in ["", "s3join1_", "s3join1_AAAA", good.text + "A", "x" + good.text] {
        #expect(JoinToken(text: text) == nil)
      }
      for bad in [0, 59_999, TrustConfiguration.maximumTokenLifetime + 1, Int64.min] {
        #expect(
          await fixture.refusal { _ = try await fixture.authority.makeToken(lifetime: bad) } != nil)
      }
    }
  }

  @Test("A request that came once does not come again, not at another gateway either")
  func replays() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let open = try OpenIdentity(try await fixture.join(Self.server, token))
      let old = try fixture.exchange(
        .register, TrustFixture.registration(Self.server, address: "old:1").json, .certificate(open)
      )
      let new = try fixture.exchange(
        .register, TrustFixture.registration(Self.server, address: "new:1").json, .certificate(open)
      )
      _ = try await fixture.gateway.answer(TrustFixture.call(new))
      for gateway in [fixture.gateway, fixture.anotherGateway()] {
        for exchange in [new, old] {
          #expect(
            await fixture.refusal { _ = try await gateway.answer(TrustFixture.call(exchange)) }
              == .replayed)
        }
      }
      #expect(fixture.members.state.withLock { $0.registrations.map(\.address) } == ["new:1"])
      let join = try fixture.exchange(.join, ["request": "x"], .token(token))
      _ = await fixture.refusal { _ = try await fixture.gateway.answer(TrustFixture.call(join)) }
      #expect(
        await fixture.refusal { _ = try await fixture.gateway.answer(TrustFixture.call(join)) }
          == .replayed)
      let late = try fixture.exchange(.register, ["x": 1], .certificate(open))
      fixture.clock.advance(seconds: 301)
      #expect(
        await fixture.refusal { _ = try await fixture.gateway.answer(TrustFixture.call(late)) }
          == .clock)
    }
  }

  @Test("A proof is of one path, body, certificate and time")
  func tampering() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let open = try OpenIdentity(try await fixture.join(Self.server, token))
      let other = try OpenIdentity(try await fixture.join(ServerID(high: 5, low: 5), token))
      let body = TrustFixture.registration(Self.server).json
      let good = try TrustFixture.call(try fixture.exchange(.register, body, .certificate(open)))
      var changed: [ClusterCall] = []
      func change(_ body: (inout ClusterCall) -> Void) {
        var call = good
        body(&call)
        changed.append(call)
      }
      change { $0.body += [0x20] }
      change { $0.operation = .renew }
      change { $0.certificate = CertificateField.encode(other.chain) }
      change { $0.certificate = nil }
      change { $0.certificate = "AAAA" }
      change { $0.certificate = String(repeating: "A", count: 1 << 20) }
      change { $0.authorization = nil }
      change { $0.authorization = "Bearer x" }
      let field = good.authorization ?? ""
      change {
        $0.authorization = field.replacing(
          "id=\(Self.server)", with: "id=\(ServerID(high: 5, low: 5))")
      }
      change { $0.authorization = field.replacing("kind=certificate", with: "kind=secret") }
      change { $0.authorization = field.replacing("kind=certificate", with: "kind=token") }
      change { $0.authorization = String(field.dropLast()) + (field.last == "0" ? "1" : "0") }
      change { $0.authorization = field.replacing("time=18", with: "time=018") }
      for call in changed {
        #expect(
          await fixture.refusal { _ = try await fixture.anotherGateway().answer(call) }
            == .unauthorized,
          "\(call.authorization ?? "none")")
      }
      _ = try await fixture.gateway.answer(good)
    }
  }

  @Test("An answer counts only with the proof of this cluster's gateway for this request")
  func answers() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let open = try OpenIdentity(try await fixture.join(Self.server, token))
      let body = TrustFixture.registration(Self.server).json
      for credential in [
        ProvenExchange.Credential.certificate(open), .secret(TrustFixture.secret, Self.server),
      ] {
        let first = try fixture.exchange(.register, body, credential)
        let one = try await fixture.gateway.answer(TrustFixture.call(first))
        let second = try fixture.exchange(.register, body, credential)
        let two = try await fixture.gateway.answer(TrustFixture.call(second))
        _ = try TrustFixture.open(first, one)
        #expect(throws: TrustError.unauthorized) { try TrustFixture.open(first, two) }
        var changed = one
        changed.body += [0x20]
        #expect(throws: TrustError.unauthorized) { try TrustFixture.open(first, changed) }
        changed = one
        changed.headers = []
        #expect(throws: TrustError.unauthorized) { try TrustFixture.open(first, changed) }
        #expect(throws: TrustError.self) {
          try first.open(status: 403, body: one.body) { _ in nil }
        }
      }
      // Another cluster's gateway is none of ours, nor is a storage server a gateway.
      try await TrustFixture.run { stranger in
        let exchange = try fixture.exchange(.register, body, .certificate(open))
        let answer = try await fixture.gateway.answer(TrustFixture.call(exchange))
        let message = Proof.canonicalAnswer(
          request: try Self.canonical(exchange), status: 200, body: answer.body)
        for identity in [try OpenIdentity(try await stranger.gateway.gatewayIdentity()), open] {
          var forged = answer
          forged.headers = [
            ("X-Cluster-Certificate", CertificateField.encode(identity.chain)),
            ("X-Cluster-Proof", Hex.encode(identity.key.sign(message))),
          ]
          #expect(throws: TrustError.unauthorized) { try TrustFixture.open(exchange, forged) }
        }
        let ours = try OpenIdentity(try await fixture.gateway.gatewayIdentity())
        var right = answer
        right.headers = [
          ("X-Cluster-Certificate", CertificateField.encode(ours.chain)),
          ("X-Cluster-Proof", Hex.encode(ours.key.sign(message))),
        ]
        _ = try TrustFixture.open(exchange, right)
      }
    }
  }

  private static func canonical(_ exchange: ProvenExchange) throws -> [UInt8] {
    let call = try TrustFixture.call(exchange)
    let statement = try #require(call.authorization.flatMap(Proof.Statement.parse)).statement
    return statement.canonical(
      method: "POST", path: call.operation.rawValue, body: call.body,
      certificate: call.certificate ?? "")
  }

  @Test("Requests that ask for a gateway's or another's name, or are forged, get nothing")
  func requests() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let identity = try await fixture.join(Self.server, token)
      let open = try OpenIdentity(identity)
      fixture.members.set(Self.server, .active)
      var bodies: [JSONValue] = []
      for name in [
        ClusterNames.gateway, "x.\(ClusterNames.server(Self.server))", "\(Self.server)",
        "localhost",
        ClusterNames.server(Self.server).uppercased(),
      ] {
        bodies.append(["request": .string(CertificateRequest(name: name, key: open.key).pem)])
      }
      var der = CertificateRequest(name: ClusterNames.server(Self.server), key: open.key).der
      der[der.count - 1] ^= 1
      bodies.append(["request": .string(PEM.encode(.request, der))])
      bodies += [["request": 1], [:], ["request": "x", "more": 1], [], nil]
      for body in bodies {
        for (operation, credential) in [
          (ClusterCall.Operation.join, ProvenExchange.Credential.token(token)),
          (.renew, .certificate(open)),
        ] {
          let refusal = await fixture.refusal {
            _ = try await fixture.ask(operation, body, credential, at: fixture.anotherGateway())
          }
          guard case .malformed = refusal else {
            Issue.record("\(operation) \(body): \(String(describing: refusal))")
            continue
          }
        }
      }
      let other = CertificateRequest(
        name: ClusterNames.server(ServerID(high: 1, low: 1)), key: open.key)
      let newKey = CertificateRequest(name: ClusterNames.server(Self.server), key: PrivateKey())
      for request in [other, newKey] {
        let refusal = await fixture.refusal {
          _ = try await fixture.ask(
            .renew, ["request": .string(request.pem)], .certificate(open))
        }
        guard case .refused = refusal else {
          Issue.record("\(String(describing: refusal))")
          continue
        }
      }
    }
  }

  @Test("A storage server of the cluster cannot be joined over, unless a token names it")
  func takeover() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let identity = try await fixture.join(Self.server, token)
      let another = await fixture.refusal { _ = try await fixture.join(Self.server, token) }
      #expect(another != nil, "another key before the first has registered")
      _ = try await fixture.ask(
        .register, TrustFixture.registration(Self.server).json,
        .certificate(try OpenIdentity(identity)))
      for state in [StorageServerRecord.State.active, .draining] {
        fixture.members.set(Self.server, state)
        let refusal = await fixture.refusal { _ = try await fixture.join(Self.server, token) }
        guard case .conflict = refusal else {
          Issue.record("\(String(describing: refusal))")
          continue
        }
      }
      let (own, _) = try await fixture.authority.makeToken(server: Self.server)
      _ = try await fixture.join(Self.server, own)
      let other = ServerID(high: 3, low: 3)
      #expect(
        await fixture.refusal { _ = try await fixture.join(other, own) }
          == .refused("the token is for another storage server"))
    }
  }

  @Test("Who has left neither renews nor registers, until a token admits it anew")
  func leaving() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let identity = try await fixture.join(Self.server, token)
      let open = try OpenIdentity(identity)
      let body = TrustFixture.registration(Self.server).json
      // Not before it has registered, either.
      #expect(await fixture.refusal { _ = try await fixture.renew(identity) } != nil)
      _ = try await fixture.ask(.register, body, .certificate(open))
      _ = try await fixture.renew(identity)
      fixture.members.set(Self.server, .left)
      #expect(await fixture.refusal { _ = try await fixture.renew(identity) } != nil)
      #expect(
        await fixture.refusal { _ = try await fixture.ask(.register, body, .certificate(open)) }
          == .refused("this storage server has left: join anew"))
      let again = try OpenIdentity(try await fixture.join(Self.server, token))
      #expect(
        await fixture.refusal { _ = try await fixture.ask(.register, body, .certificate(open)) }
          != nil, "the old key")
      _ = try await fixture.ask(.register, body, .certificate(again))
      fixture.members.set(Self.server, .left)
      #expect(
        await fixture.refusal { _ = try await fixture.ask(.register, body, .certificate(again)) }
          != nil, "an admission is good once")
    }
  }

  @Test("Certificates of other clusters, expired ones and gateways' register nobody")
  func foreign() async throws {
    try await TrustFixture.run { fixture in
      let (token, _) = try await fixture.authority.makeToken()
      let identity = try await fixture.join(Self.server, token)
      let body = TrustFixture.registration(Self.server).json
      try await TrustFixture.run { stranger in
        let (token, _) = try await stranger.authority.makeToken()
        let foreign = try OpenIdentity(try await stranger.join(Self.server, token))
        #expect(
          await fixture.refusal {
            _ = try await fixture.ask(.register, body, .certificate(foreign))
          }
            == .unauthorized)
      }
      // The gateway's own certificate under a storage server's name.
      let gateway = try OpenIdentity(try await fixture.gateway.gatewayIdentity())
      let good = try fixture.exchange(.register, body, .certificate(try OpenIdentity(identity)))
      var call = try TrustFixture.call(good)
      let (statement, _) = try #require(call.authorization.flatMap(Proof.Statement.parse))
      call.certificate = CertificateField.encode(gateway.chain)
      call.authorization = statement.field(
        proof: gateway.key.sign(
          statement.canonical(
            method: "POST", path: "/cluster/register", body: call.body,
            certificate: call.certificate ?? "")))
      #expect(
        await fixture.refusal { _ = try await fixture.gateway.answer(call) } == .unauthorized)
      fixture.clock.advance(days: 91)
      #expect(
        await fixture.refusal {
          _ = try await fixture.ask(.register, body, .certificate(try OpenIdentity(identity)))
        } == .unauthorized)
    }
  }
}
