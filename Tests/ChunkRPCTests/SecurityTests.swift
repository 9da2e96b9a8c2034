import Base
import ChunkRPC
import ChunkStore
import Disk
import GRPC
import Runtime
import Telemetry
import TestSupport
import Testing

@Suite struct SecurityTests {
  static let settings = ChunkRPCClient.Settings.patient

  /// What a health check says to a client of `security`.
  static func health(
    of server: ChunkRPCServer, _ security: ChunkRPCSecurity, id: ServerID = Sample.server,
    address: String? = nil
  ) async -> ChunkStoreError? {
    let client = ChunkRPCClient(security: security, settings: settings)
    let connection = client.connect(to: address ?? "127.0.0.1:\(server.port)", server: id)
    let error = await failure { try await connection.health() }
    await connection.close()
    return error
  }

  static func isOffline(_ error: ChunkStoreError?) -> Bool {
    if case .offline = error { true } else { false }
  }

  @Test("a gateway's certificate is let in, and can write and read")
  func mutualTLS() async throws {
    let authority = try await TestAuthority()
    let server = TLSIdentity(try await authority.issue(ClusterNames.server(Sample.server)))
    let gateway = TLSIdentity(try await authority.issue(ClusterNames.gateway))
    try await withServer([try Sample.store()], security: .mutualTLS(server)) { server in
      let client = ChunkRPCClient(security: .mutualTLS(gateway), settings: Self.settings)
      let connection = client.connect(to: "localhost:\(server.port)", server: Sample.server)
      let store = connection.store(Sample.storeID)
      for chunk in [SampleChunk(1, length: 64_000), SampleChunk(2, length: 3_000_000)] {
        try await chunk.put(to: store)
        #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
      }
      #expect(try await connection.health().server == Sample.server)
      await connection.close()
    }
  }

  @Test("who is no gateway of the cluster is not let in, and no server but the right one is used")
  func refusals() async throws {
    let authority = try await TestAuthority()
    let stranger = try await TestAuthority()
    let serverName = ClusterNames.server(Sample.server)
    let server = TLSIdentity(try await authority.issue(serverName))
    let gateway = try await authority.issue(ClusterNames.gateway)
    try await withServer([try Sample.store()], security: .mutualTLS(server)) { server in
      let refused: [(String, ChunkRPCSecurity, ServerID)] = [
        ("no certificate", .sharedSecret(Sample.secret), Sample.server),
        (
          "another authority",
          .mutualTLS(
            TLSIdentity(try await stranger.issue(ClusterNames.gateway, trusting: authority))),
          Sample.server
        ),
        (
          "a storage server's certificate",
          .mutualTLS(TLSIdentity(try await authority.issue(serverName))), Sample.server
        ),
        (
          "a name that only begins like a gateway's",
          .mutualTLS(TLSIdentity(try await authority.issue(ClusterNames.gateway + ".example"))),
          Sample.server
        ),
        (
          "a server of an authority that the client does not know",
          .mutualTLS(TLSIdentity(try await stranger.issue(ClusterNames.gateway))), Sample.server
        ),
        (
          "another server's name", .mutualTLS(TLSIdentity(gateway)), ServerID(high: 1, low: 2)
        ),
      ]
      for (what, security, id) in refused {
        let error = await Self.health(of: server, security, id: id)
        #expect(Self.isOffline(error), "\(what): \(String(describing: error))")
      }
      #expect(await Self.health(of: server, .mutualTLS(TLSIdentity(gateway))) == nil)
      // Calls are counted a moment after they are answered.
      try await eventually {
        server.counters.snapshot.requests.reduce(0) { $0 + $1.count } >= 3
      }
      let requests = server.counters.snapshot.requests
      #expect(requests.filter { $0.status == .ok }.map(\.count) == [1])
      // Both of those whose certificate is the cluster's and no gateway's came that far.
      #expect(requests.filter { $0.status == .permissionDenied }.map(\.count) == [2])
    }
  }

  @Test("certificates are replaced without a restart")
  func rotation() async throws {
    let (old, new) = (try await TestAuthority(), try await TestAuthority())
    let name = ClusterNames.server(Sample.server)
    let server = TLSIdentity(try await old.issue(name))
    let gateway = TLSIdentity(try await old.issue(ClusterNames.gateway))
    let newGateway = TLSIdentity(try await new.issue(ClusterNames.gateway))
    let newServer = try await new.issue(name)
    try await withServer([try Sample.store()], security: .mutualTLS(server)) { running in
      let client = ChunkRPCClient(security: .mutualTLS(gateway), settings: Self.settings)
      let connection = client.connect(to: "127.0.0.1:\(running.port)", server: Sample.server)
      #expect(await failure { try await connection.health() } == nil)
      #expect(Self.isOffline(await Self.health(of: running, .mutualTLS(newGateway))))
      server.update(newServer)
      #expect(await Self.health(of: running, .mutualTLS(newGateway)) == nil)
      // The connection that is there goes on; a new one of the old authority is refused.
      #expect(await failure { try await connection.health() } == nil)
      let left = TLSIdentity(gateway.current.material)
      #expect(Self.isOffline(await Self.health(of: running, .mutualTLS(left))))
      gateway.update(newGateway.current.material)
      #expect(await failure { try await connection.health() } == nil)
      await connection.close()
    }
  }

  @Test("a wrong or missing secret is unauthenticated")
  func secrets() async throws {
    try await withServer([try Sample.store()]) { server in
      let wrong = ChunkRPCSecurity.sharedSecret(String(Sample.secret.reversed()))
      #expect(Self.isOffline(await Self.health(of: server, wrong)))
      let shorter = ChunkRPCSecurity.sharedSecret(String(Sample.secret.dropLast()))
      #expect(Self.isOffline(await Self.health(of: server, shorter)))
      let channel = Channel(
        to: "127.0.0.1:\(server.port)", credentials: .insecure,
        arguments: .client(maximumMessageLength: 1 << 20, connectTimeout: .seconds(120)))
      let call = channel.makeCall(
        "/s3storage.v1.StorageService/HealthCheck", timeout: .seconds(120))
      await #expect {
        try await call.unary(OutgoingMessage([]))
      } throws: {
        ($0 as? RPCStatus)?.code == .unauthenticated
      }
      try await eventually {
        server.counters.snapshot.requests.reduce(0) { $0 + $1.count } >= 3
      }
      let requests = server.counters.snapshot.requests
      #expect(requests.filter { $0.status == .unauthenticated }.map(\.count) == [3])
      let other = await Self.health(
        of: server, .sharedSecret(Sample.secret), id: ServerID(high: 1, low: 2))
      #expect(other == .offline("this is another server"))
      #expect(await Self.health(of: server, .sharedSecret(Sample.secret)) == nil)
    }
  }

  @Test("without credentials, or with a secret off loopback, no server starts and no client calls")
  func failClosed() async throws {
    func make(
      _ security: ChunkRPCSecurity?, address: String = "127.0.0.1", port: Int = 0
    ) throws(ChunkRPCError) -> ChunkRPCServer {
      try ChunkRPCServer(
        stores: [], server: Sample.server, cluster: Sample.cluster, version: "", address: address,
        port: port, security: security, pool: blockingPool,
        buffers: BufferPool(limit: 8 << 20, cacheLimit: 0))
    }
    let secret = ChunkRPCSecurity.sharedSecret(Sample.secret)
    #expect(throws: ChunkRPCError.insecure) { try make(nil) }
    for address in ["0.0.0.0", "[::]", "10.0.0.1", "example.com", "127.evil.example", "127.0.0"] {
      #expect(throws: ChunkRPCError.secretOffLoopback) { try make(secret, address: address) }
    }
    for weak in ["", "short", "sixteen bytes with space", "é-sixteen-bytes-and-more"] {
      #expect(throws: ChunkRPCError.weakSecret) { try make(.sharedSecret(weak)) }
    }
    let client = ChunkRPCClient(security: secret, settings: Self.settings)
    let connection = client.connect(to: "192.0.2.1:50051", server: Sample.server)
    #expect(
      await failure { try await connection.health() }
        == .offline("a shared secret serves on loopback only"))
    // A server that is made and never run lets go of its port.
    var first: ChunkRPCServer? = try make(secret)
    let port = try #require(first?.port)
    #expect(throws: ChunkRPCError.bind("127.0.0.1:\(port)")) { try make(secret, port: port) }
    first = nil
    try await eventually { (try? make(secret, port: port)) != nil }
  }
}
