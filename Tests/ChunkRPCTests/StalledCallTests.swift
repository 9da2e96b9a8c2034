import Base
import ChunkRPC
import ChunkStore
import GRPC
import Runtime
import TestSupport
import Testing

/// Streams that stand still in a server with memory for four messages of the largest kind.
@Suite("Streams that stand still")
struct StalledCallTests {
  private static let piece = 262_144

  private func connection(_ server: ChunkRPCServer) -> any StorageServerConnection {
    ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: .patient)
      .connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
  }

  @Test("writes that wait for their clients hold up nobody, and go on when these do")
  func writes() async throws {
    let buffers = BufferPool(limit: 4 << 20, cacheLimit: 0)
    try await withServer([try Sample.store()], buffers: buffers) { server in
      let (hung, other) = (connection(server), connection(server))
      let chunks = (0..<40).map { SampleChunk(UInt64(1000 + $0), length: 3 * Self.piece) }
      var writers: [any ChunkWriter] = []
      for chunk in chunks {
        let writer = try await hung.store(Sample.storeID).beginChunk(chunk.header)
        try await writer.append(chunk.buffer(), 0..<Self.piece)
        writers.append(writer)
      }
      for length in [6400, 2 << 20] {
        let chunk = SampleChunk(UInt64(length), length: length)
        try await chunk.put(to: other.store(Sample.storeID))
        #expect(try await readAll(chunk.id, from: other.store(Sample.storeID)) == chunk.bytes)
      }
      for (chunk, writer) in zip(chunks, writers) {
        for start in [Self.piece, 2 * Self.piece] {
          try await writer.append(chunk.buffer(), start..<start + Self.piece)
        }
        try await writer.finish(chunk.trailer)
        #expect(try await readAll(chunk.id, from: other.store(Sample.storeID)) == chunk.bytes)
      }
      try await eventually { buffers.used == 0 }
      await hung.close()
      await other.close()
    }
  }

  @Test("reads whose clients take nothing are ended while others wait, and only then")
  func reads() async throws {
    var chunk = SampleChunk(1, length: 24 << 20)
    let extent = try #require(ExtentID(bytes: [UInt8](repeating: 7, count: 16)))
    chunk.id = ChunkID(extent: extent, index: 0)
    let buffers = BufferPool(limit: 4 << 20, cacheLimit: 0)
    var settings = ChunkRPCServer.Settings()
    settings.stalledRead = .milliseconds(100)
    try await withServer([try Sample.store()], buffers: buffers, settings: settings) { server in
      let other = connection(server)
      let remote = other.store(Sample.storeID)
      try await chunk.put(to: remote)
      var calls: [ClientCall] = []
      for _ in 0..<12 {
        let call = FaultTests.channel(server.port).makeCall(
          "/s3storage.v1.StorageService/GetChunk", timeout: .seconds(240),
          metadata: FaultTests.metadata)
        let request = FaultTests.getRequest(length: chunk.length)
        #expect(await call.start(OutgoingMessage(request), isLast: true))
        calls.append(call)
      }
      // What holds memory is ended for what waits, so nobody may wait any more when this looks.
      try await eventually { buffers.waits >= 4 }
      let small = SampleChunk(2, length: 2 << 20)
      try await small.put(to: remote)
      #expect(try await readAll(small.id, from: remote) == small.bytes)
      var ended = 0
      for call in calls {
        while await call.receive() != nil {}
        let status = await call.status()
        #expect([.ok, .resourceExhausted].contains(status.code), "\(status)")
        if status.code == .resourceExhausted { ended += 1 }
      }
      #expect(ended > 0)
      // Nobody waits: a reader may take its time.
      let slow = FaultTests.channel(server.port).makeCall(
        "/s3storage.v1.StorageService/GetChunk", timeout: .seconds(240),
        metadata: FaultTests.metadata)
      #expect(
        await slow.start(
          OutgoingMessage(FaultTests.getRequest(length: chunk.length)), isLast: true))
      try await eventually { buffers.used > 0 }
      while await slow.receive() != nil {}
      #expect(await slow.status().code == .ok)
      try await eventually { buffers.used == 0 }
      await other.close()
    }
  }
}
