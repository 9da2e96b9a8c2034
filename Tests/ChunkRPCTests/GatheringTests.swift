import Base
import ChunkRPC
import ChunkStore
import Runtime
import TestSupport
import Testing

@Suite("How pieces of a chunk become messages") struct GatheringTests {
  static let piece = 256 * ByteCount.kibibyte

  @Test("behind the first piece, which goes at once, pieces go as messages of 1 MiB")
  func gathering() async throws {
    let chunk = SampleChunk(1, length: 33 * Self.piece + 64)
    let store = try Sample.store()
    try await withConnected([store]) { server, remote in
      let writer = try await remote.beginChunk(chunk.header)
      let buffer = chunk.buffer()
      #expect(!writer.appendAtOnce(buffer, 0..<Self.piece), "the first piece goes at once")
      try await writer.append(buffer, 0..<Self.piece)
      for start in stride(from: Self.piece, to: chunk.length, by: Self.piece) {
        let range = start..<min(start + Self.piece, chunk.length)
        if !writer.appendAtOnce(buffer, range) { try await writer.append(buffer, range) }
      }
      try await writer.finish(chunk.trailer)
      // The first piece, eight times four of them, and the rest with the trailer.
      #expect(server.counters.snapshot.messagesReceived == 1 + 8 + 1)
      #expect(try await readAll(chunk.id, from: remote) == chunk.bytes)
    }
  }

  @Test("a chunk that is there as a whole goes as one message", arguments: [64, 263_168, 1 << 20])
  func whole(_ length: Int) async throws {
    let chunk = SampleChunk(2, length: length)
    try await withConnected([try Sample.store()]) { server, remote in
      let writer = try await remote.beginChunk(chunk.header)
      let half = length / 2 / 4096 * 4096
      let parts = [0..<half, half..<length].filter { !$0.isEmpty }
      try await writer.finish(
        chunk.trailer, appending: parts.map { ChunkPart(chunk.buffer(), $0) })
      #expect(server.counters.snapshot.messagesReceived == 1)
      #expect(try await readAll(chunk.id, from: remote) == chunk.bytes)
    }
  }

  @Test("a chunk of more than a message goes as several, however its parts are cut")
  func wholeOfSeveralMessages() async throws {
    let chunk = SampleChunk(3, length: 3 * ByteCount.mebibyte + 128)
    try await withConnected([try Sample.store()]) { _, remote in
      let writer = try await remote.beginChunk(chunk.header)
      let cuts = [0, 4096, 4096 + 9 * 65536, 2 * ByteCount.mebibyte, chunk.length]
      try await writer.finish(
        chunk.trailer,
        appending: zip(cuts, cuts.dropFirst()).map { ChunkPart(chunk.buffer(), $0..<$1) })
      #expect(try await readAll(chunk.id, from: remote) == chunk.bytes)
    }
  }

  @Test("slow writers hold a fourth of the budget: others write beside them")
  func slowWriters() async throws {
    var settings = ChunkRPCClient.Settings.patient
    settings.bufferLimit = 8 * ByteCount.mebibyte
    try await withConnected([try Sample.store()], settings: settings) { _, remote in
      var slow: [(SampleChunk, any ChunkWriter)] = []
      for number in 0..<24 {
        let chunk = SampleChunk(UInt64(number), length: 2 * Self.piece)
        let writer = try await remote.beginChunk(chunk.header)
        let buffer = chunk.buffer()
        try await writer.append(buffer, 0..<Self.piece)
        if !writer.appendAtOnce(buffer, Self.piece..<2 * Self.piece) {
          try await writer.append(buffer, Self.piece..<2 * Self.piece)
        }
        slow.append((chunk, writer))
      }
      let large = SampleChunk(99, length: 5 * ByteCount.mebibyte)
      try await large.put(to: remote)
      #expect(try await readAll(large.id, from: remote) == large.bytes)
      for (chunk, writer) in slow {
        try await writer.finish(chunk.trailer)
        #expect(try await readAll(chunk.id, from: remote) == chunk.bytes)
      }
    }
  }

  @Test("what writes leave behind is given back when asked for, and with the connection")
  func memory() async throws {
    try await withServer([try Sample.store()]) { server in
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: .patient)
      func writeTwice(trimmed: Bool) async throws {
        let address = "127.0.0.1:\(server.port)"
        let connection = client.connect(to: address, server: Sample.server)
        for number: UInt64 in [0, 1] {
          let chunk = SampleChunk(number, length: 64 * Self.piece)
          try await chunk.put(to: connection.store(Sample.storeID))
          try await eventually { client.keptBytes > 0 }
          guard trimmed else { continue }
          client.trim()
          #expect(client.keptBytes == 0)
        }
        await connection.close()
      }
      try await writeTwice(trimmed: true)
      try await writeTwice(trimmed: false)
      try await eventually { client.keptBytes == 0 }
    }
  }

  @Test("a server that refuses the chunk is noticed though pieces gather")
  func refusal() async throws {
    let chunk = SampleChunk(4, length: 64 * Self.piece)
    try await withConnected([FaultyStore(error: .full)]) { _, remote in
      let error = await failure { try await chunk.put(to: remote) }
      #expect(error == .full)
      let writer = try await remote.beginChunk(chunk.header)
      let buffer = chunk.buffer()
      // The refusal may be there before the first piece is.
      let late = await failure {
        try await writer.append(buffer, 0..<Self.piece)
        while true {
          let range = Self.piece..<2 * Self.piece
          if !writer.appendAtOnce(buffer, range) { try await writer.append(buffer, range) }
        }
      }
      #expect(late == .full)
    }
  }

  private func withConnected(
    _ stores: [any ChunkStore], settings: ChunkRPCClient.Settings = .patient,
    _ body: (ChunkRPCServer, any ChunkStore) async throws -> Void
  ) async throws {
    try await withServer(stores) { server in
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: settings)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let result: Result<Void, any Error>
      do { result = .success(try await body(server, connection.store(Sample.storeID))) } catch {
        result = .failure(error)
      }
      await connection.close()
      try result.get()
    }
  }
}
