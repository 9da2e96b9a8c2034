import Base
import ChunkRPC
import ChunkStore
import GRPC
import Runtime
import TestSupport
import Testing

@Suite struct FuzzTests {
  static let methods: [StaticString] = [
    "/s3storage.v1.StorageService/PutChunk", "/s3storage.v1.StorageService/GetChunk",
    "/s3storage.v1.StorageService/DeleteChunks", "/s3storage.v1.StorageService/StatChunk",
    "/s3storage.v1.StorageService/ListChunks", "/s3storage.v1.StorageService/VerifyChunk",
  ]

  /// A valid message of a record, or of a request.
  static func valid(_ random: SeededRandom, put: Bool) -> [UInt8] {
    let chunk = [0x0a, 16] + [UInt8](repeating: 7, count: 16) + [0x10, 1]
    var bytes: [UInt8] = [0x0a, 16] + Sample.storeID.bytes
    guard put else {
      bytes += [0x12, UInt8(chunk.count)] + chunk
      return bytes
    }
    let header: [UInt8] =
      [0x0a, UInt8(chunk.count)] + chunk + [0x10, 4, 0x18, 2, 0x22, 16] + Sample.cluster.bytes
    bytes += [0x12, UInt8(header.count)] + header
    bytes += [0x1a, 64] + random.bytes(64)
    let trailer: [UInt8] =
      [0x08, 64, 0x10, 64, 0x18, 64, 0x22, 32] + random.bytes(32) + [0x3a, 4] + random.bytes(4)
    return bytes + [0x2a, UInt8(trailer.count)] + trailer + [0x38, 1]
  }

  static func mutate(_ bytes: [UInt8], _ random: SeededRandom) -> [UInt8] {
    var bytes = bytes
    for _ in 0...Int(random.next() % 4) where !bytes.isEmpty {
      let position = Int(random.next() % UInt64(bytes.count))
      switch random.next() % 5 {
      case 0: bytes[position] ^= 1 << UInt8(random.next() % 8)
      case 1: bytes[position] = [0, 0x7f, 0x80, 0xff][Int(random.next() % 4)]
      case 2: bytes.removeSubrange(position...)
      case 3: bytes.insert(contentsOf: random.bytes(Int(random.next() % 12)), at: position)
      default: bytes.removeSubrange(position..<min(position + 3, bytes.count))
      }
    }
    return bytes
  }

  @Test("whatever bytes come as messages, the server answers and goes on", arguments: 1...8)
  func server(_ seed: UInt64) async throws {
    let random = SeededRandom(seed: seed)
    let store = try Sample.store()
    let buffers = BufferPool(limit: 8 << 20, cacheLimit: 0)
    try await withServer([store], buffers: buffers) { server in
      let channel = FaultTests.channel(server.port)
      for round in 0..<300 {
        let method = Int(random.next() % UInt64(Self.methods.count))
        let bytes = Self.mutate(Self.valid(random, put: method == 0), random)
        let call = channel.makeCall(
          Self.methods[method], timeout: .seconds(120), metadata: FaultTests.metadata)
        _ = await call.start(OutgoingMessage(bytes))
        if round % 3 == 0 { _ = await call.send(OutgoingMessage(Self.mutate(bytes, random))) }
        _ = await call.sendLast(OutgoingMessage([]))
        while await call.receive() != nil {}
        let status = await call.status()
        // Anything but a timeout or a lost connection.
        #expect(
          status.code != .deadlineExceeded && status.code != .unavailable
            || status.message == "no such store here" || status.message.contains("another cluster"),
          "seed \(seed), round \(round): \(status)")
      }
      let health = channel.makeCall(
        "/s3storage.v1.StorageService/HealthCheck", timeout: .seconds(120),
        metadata: FaultTests.metadata)
      let answer = try await health.unary(OutgoingMessage([]))
      #expect(answer.count > 0)
      try await eventually { buffers.used == 0 }
    }
  }

  @Test("whatever bytes a server answers, the client throws and goes on", arguments: 1...8)
  func client(_ seed: UInt64) async throws {
    let random = SeededRandom(seed: seed)
    let server = try Server(
      on: "127.0.0.1:0", credentials: .insecure,
      arguments: .server(
        maximumMessageLength: 1 << 20, streamsPerConnection: 100, memoryQuota: 64 << 20))
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: blockingPool) {
        try await server.run(executor: { _ in blockingPool }) { call in
          _ = await call.receive()
          let bytes = Self.mutate(Self.valid(random, put: random.next() % 2 == 0), random)
          if random.next() % 4 == 0 { _ = await call.send(OutgoingMessage(bytes)) }
          await call.finish(OutgoingMessage(random.next() % 8 == 0 ? [] : bytes))
        }
      }
      // An answer with a message too many has no end before the call's.
      var settings = ChunkRPCClient.Settings.patient
      settings.openTimeout = .milliseconds(100)
      settings.healthTimeout = .milliseconds(100)
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: settings)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let store = connection.store(Sample.storeID)
      let id = SampleChunk(1, length: 64).id
      for _ in 0..<30 {
        _ = await failure { try await connection.health() }
        _ = await failure { try await store.stat(id) }
        _ = await failure { try await store.list(from: nil, limit: 10) }
        _ = await failure {
          let reader = try await store.openChunk(id)
          let length = min(reader.trailer.dataLength, 65_536)
          try await reader.read(0..<length, into: AlignedBuffer(count: 65_536), at: 0)
        }
      }
      await connection.close()
      server.beginShutdown(deadline: .zero)
      try await group.waitForAll()
      #expect(client.counters.snapshot.active == 0)
    }
  }
}
