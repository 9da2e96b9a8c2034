import Base
import ChunkRPC
import ChunkStore
import Disk
import GRPC
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite struct FaultTests {
  static let chunk = SampleChunk(3, length: 1_048_576)

  static func channel(_ port: Int) -> Channel {
    Channel(
      to: "127.0.0.1:\(port)", credentials: .insecure,
      arguments: .client(maximumMessageLength: 8 << 20, connectTimeout: .seconds(120)))
  }

  static let metadata = [(key: "s3storage-secret", value: Sample.secret)]

  @Test(
    "each error of a store comes over the wire as it is",
    arguments: [
      ChunkStoreError.missing, .corrupt("bad block"), .offline("disk gone"), .full,
      .fenced("sync failed"), .tooLarge("too long"), .io("failed"),
    ])
  func errors(_ error: ChunkStoreError) async throws {
    try await withConnection([FaultyStore(error: error)]) { connection in
      let store = connection.store(Sample.storeID)
      let small = SampleChunk(1, length: 640)
      #expect(await failure { try await small.put(to: store) } == error)
      #expect(await failure { try await Self.chunk.put(to: store) } == error)
      #expect(await failure { try await store.openChunk(small.id) } == error)
      #expect(await failure { try await store.stat(small.id) } == error)
      #expect(await failure { try await store.verify(small.id) } == error)
      #expect(await FixedStamp(1).failure { try await store.delete([small.id]) } == error)
      #expect(await failure { try await store.list(from: nil, limit: 5) } == error)
      let unknown = connection.store(StoreID(high: 9, low: 9))
      #expect(
        await failure { try await unknown.stat(small.id) } == .offline("no such store here"))
      #expect(await unknown.health().state == .offline)
    }
  }

  @Test("a client that gives up, or lets go, ends its writer at the server")
  func cancellation() async throws {
    let store = FaultyStore(error: nil)
    try await withConnection([store]) { connection in
      let remote = connection.store(Sample.storeID)
      let task = Task { await failure { try await Self.chunk.put(to: remote) } }
      try await eventually { store.begun.load(ordering: .relaxed) == 1 }
      task.cancel()
      guard case .offline = await task.value else {
        Issue.record("a write that was cancelled has ended well")
        return
      }
      try await eventually { store.aborted.load(ordering: .relaxed) == 1 }
      var writer: (any ChunkWriter)? = try await remote.beginChunk(Self.chunk.header)
      try await writer?.append(Self.chunk.buffer(), 0..<262_144)
      try await eventually { store.begun.load(ordering: .relaxed) == 2 }
      writer = nil
      try await eventually { store.aborted.load(ordering: .relaxed) == 2 }
    }
  }

  @Test("a server that hangs is given up in time, in each operation")
  func deadlines() async throws {
    let store = FaultyStore(error: nil)
    var settings = ChunkRPCClient.Settings.patient
    settings.writeTimeout = .milliseconds(300)
    settings.finishTimeout = .milliseconds(300)
    settings.openTimeout = .milliseconds(300)
    settings.listTimeout = .milliseconds(300)
    settings.verifyTimeout = .milliseconds(300)
    try await withConnection([store], settings: settings) { connection in
      let remote = connection.store(Sample.storeID)
      let small = SampleChunk(1, length: 640)
      let late = ChunkStoreError.offline("no answer in time")
      #expect(await failure { try await small.put(to: remote) } == late)
      #expect(await failure { try await remote.stat(small.id) } == late)
      #expect(await failure { try await remote.verify(small.id) } == late)
      #expect(await FixedStamp(1).failure { try await remote.delete([small.id]) } == late)
      #expect(await failure { try await remote.list(from: nil, limit: 5) } == late)
      #expect(await failure { try await Self.chunk.put(to: remote) } == late)
      let writer = try await remote.beginChunk(Self.chunk.header)
      let error = await failure {
        let buffer = Self.chunk.buffer()
        while true { try await writer.append(buffer, 0..<262_144) }
      }
      #expect(error == late)
      // A busy server may not have seen a write before it was given up.
      try await eventually {
        store.aborted.load(ordering: .relaxed) == store.begun.load(ordering: .relaxed)
      }
    }
  }

  @Test("a client that stops reading holds a few buffers of the server, until it is cut off")
  func slowReader() async throws {
    var settings = ChunkRPCServer.Settings()
    settings.sendTimeout = .milliseconds(500)
    let buffers = BufferPool(limit: 64 << 20, cacheLimit: 0)
    try await withServer([FaultyStore(error: nil)], buffers: buffers, settings: settings) {
      server in
      let call = Self.channel(server.port).makeCall(
        "/s3storage.v1.StorageService/GetChunk", timeout: .seconds(120),
        metadata: Self.metadata)
      #expect(await call.start(OutgoingMessage(Self.getRequest(length: 4 << 30)), isLast: true))
      #expect(await call.receive() != nil)
      // Windows are 64 KiB: the server sends a few messages and waits.
      try await eventually {
        server.counters.snapshot.requests.contains { $0.method == "GetChunk" }
      }
      #expect(server.counters.snapshot.bytesSent < 64 << 20)
      try await eventually { buffers.used == 0 }
      while await call.receive() != nil {}
      let status = await call.status()
      #expect(status.code != .ok, "\(status)")
    }
  }

  /// store = 1, chunk = 2 { extent = 1, index = 2 }, offset = 3, length = 4
  static func getRequest(offset: Int = 0, length: Int) -> [UInt8] {
    var bytes: [UInt8] = [0x0a, 16] + Sample.storeID.bytes
    bytes += [0x12, 18, 0x0a, 16] + [UInt8](repeating: 7, count: 16)
    for (field, value) in [(0x18, offset), (0x20, length)] {
      bytes.append(UInt8(field))
      var rest = UInt64(bitPattern: Int64(value))
      while rest > 0x7f {
        bytes.append(UInt8(rest & 0x7f) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
    return bytes
  }

  @Test(
    "ranges that no checksum covers are refused before they reach the disk",
    arguments: [
      (1, 65_536), (0, 65_535), (4 << 30, 65_536), (Int.max, Int.max), (65_536, Int.max),
      (-1, 65_536), (0, -1), (Int.min, 0),
    ])
  func ranges(_ offset: Int, _ length: Int) async throws {
    try await withServer([FaultyStore(error: nil)]) { server in
      let call = Self.channel(server.port).makeCall(
        "/s3storage.v1.StorageService/GetChunk", timeout: .seconds(120),
        metadata: Self.metadata)
      await #expect {
        try await call.unary(OutgoingMessage(Self.getRequest(offset: offset, length: length)))
      } throws: {
        ($0 as? RPCStatus)?.code == .invalidArgument
      }
    }
  }

  @Test("200 streams at once keep within a budget of 8 MiB")
  func manyStreams() async throws {
    let store = try Sample.store()
    let buffers = BufferPool(limit: 8 << 20, cacheLimit: 0)
    let peak = Peak()
    try await withServer([store], buffers: buffers) { server in
      let client = ChunkRPCClient(
        security: .sharedSecret(Sample.secret), settings: .patient)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let remote = connection.store(Sample.storeID)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<200 {
          group.addTask {
            let chunk = SampleChunk(UInt64(number), length: 524_288 + 64 * number)
            try await chunk.put(to: remote)
            #expect(try await readAll(chunk.id, from: remote) == chunk.bytes)
            peak.value.max(buffers.used, ordering: .relaxed)
          }
        }
        try await group.waitForAll()
      }
      #expect(peak.value.load(ordering: .relaxed) <= 8 << 20)
      try await eventually { buffers.used == 0 }
      try await eventually {
        server.counters.snapshot.requests.contains { $0.method == "PutChunk" && $0.count == 200 }
      }
      #expect(server.counters.snapshot.requests.allSatisfy { $0.status == .ok })
      await connection.close()
    }
  }

  @Test("a message that is too large ends its call only")
  func tooLarge() async throws {
    try await withServer([try Sample.store()]) { server in
      let channel = Self.channel(server.port)
      let call = channel.makeCall(
        "/s3storage.v1.StorageService/DeleteChunks", timeout: .seconds(120),
        metadata: Self.metadata)
      await #expect {
        try await call.unary(OutgoingMessage([UInt8](repeating: 0x0a, count: 4 << 20)))
      } throws: {
        ($0 as? RPCStatus)?.code == .resourceExhausted
      }
      let health = channel.makeCall(
        "/s3storage.v1.StorageService/HealthCheck", timeout: .seconds(120),
        metadata: Self.metadata)
      let answer = try await health.unary(OutgoingMessage([]))
      #expect(answer.count > 0)
      let unknown = channel.makeCall(
        "/s3storage.v1.StorageService/FormatDisk", timeout: .seconds(120),
        metadata: Self.metadata)
      await #expect {
        try await unknown.unary(OutgoingMessage([]))
      } throws: {
        ($0 as? RPCStatus)?.code == .unimplemented
      }
    }
  }

  @Test("a server that goes away in the middle ends what runs, and nothing stays behind")
  func serverGone() async throws {
    let store = FaultyStore(error: nil)
    let client = ChunkRPCClient(
      security: .sharedSecret(Sample.secret), settings: .patient)
    let (connection, task) = try await withServer([store]) { server in
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let remote = connection.store(Sample.storeID)
      let task = Task { await failure { try await Self.chunk.put(to: remote) } }
      try await eventually { store.begun.load(ordering: .relaxed) == 1 }
      return (connection, task)
    }
    guard case .offline = await task.value else {
      Issue.record("a write to a server that is gone has ended well")
      return
    }
    #expect(store.aborted.load(ordering: .relaxed) == 1)
    guard case .offline = await failure(of: { try await connection.health() }) else {
      Issue.record("a server that is gone is well")
      return
    }
    await connection.close()
    #expect(
      await failure { try await connection.health() } == .offline("the connection is closed"))
    #expect(client.counters.snapshot.active == 0)
  }

  @Test("data that was changed on its way is refused before it is written")
  func changedData() async throws {
    try await withConnection([try Sample.store()]) { connection in
      let store = connection.store(Sample.storeID)
      for length in [6400, 1_048_576] {
        let chunk = SampleChunk(5, length: length)
        var trailer = chunk.trailer
        trailer.blockChecksums[0] ^= 1
        let error = await failure {
          if length == 6400 {
            return try await store.putSmall(
              chunk.header, data: chunk.buffer(), range: 0..<length, trailer: trailer)
          }
          let writer = try await store.beginChunk(chunk.header)
          try await writer.append(chunk.buffer(), 0..<length)
          try await writer.finish(trailer)
        }
        #expect(error == .corrupt("the data differs from its checksums"))
        #expect(await failure { try await store.openChunk(chunk.id) } == .missing)
      }
    }
  }
}

private final class Peak: Sendable {
  let value = Atomic(0)
}
