import Base
import ChunkStore
import Glibc
import Runtime
import TestSupport
import Testing

@testable import ChunkRPC

@Suite("How reads share a stream") struct ReadStreamTests {
  static let piece = 256 * ByteCount.kibibyte

  @Test(
    "reads that are begun side by side come in any order, and still share few streams",
    arguments: [1, 2, 3] as [UInt64])
  func anyOrder(seed: UInt64) async throws {
    let chunk = SampleChunk(1, length: 96 * Self.piece - 4096 + 64)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      var numbers = SeededRandom(seed: seed)
      for first in stride(from: 0, to: 96, by: 3) {
        for number in [first, first + 1, first + 2].shuffled(using: &numbers) {
          try await Self.check(number, of: bytes, by: reader)
        }
      }
      // Opening, at most three reads before the first stream, and streams of doubled length.
      let calls = client.counters.snapshot.requests.reduce(0) { $0 + $1.count }
      #expect(calls <= 1 + 3 + 7, "\(calls) calls")
    }
  }

  @Test("reads that run at once get their own parts")
  func atOnce() async throws {
    let chunk = SampleChunk(2, length: 64 * Self.piece)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      try await Self.check(0, of: bytes, by: reader)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1..<64 {
          if number > 4 { try await group.next() }
          group.addTask { try await Self.check(number, of: bytes, by: reader) }
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("what reads leave out is not waited for", arguments: [2, 3, 6, 30])
  func leftOut(_ step: Int) async throws {
    let chunk = SampleChunk(3, length: 64 * Self.piece)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      for number in stride(from: 0, to: 64, by: step) {
        try await Self.check(number, of: bytes, by: reader)
      }
      for number in (0..<64).reversed() { try await Self.check(number, of: bytes, by: reader) }
      reader.close()
      try await eventually { client.streams.lent == 0 }
    }
  }

  @Test("readers that stand still hold no more than they may, and all of them get their data")
  func memory() async throws {
    let chunk = SampleChunk(4, length: 28 * Self.piece)
    let bytes = chunk.bytes
    var settings = ChunkRPCClient.Settings.patient
    settings.streamMemory = 4 * ByteCount.mebibyte
    try await withConnected(chunk, settings: settings) { client, first in
      let connection = client.connected
      var readers = [first]
      for _ in 0..<14 { readers.append(try await connection.openChunk(chunk.id)) }
      for number in 0..<28 {
        for reader in readers { try await Self.check(number, of: bytes, by: reader) }
        #expect(client.streams.lent <= settings.streamMemory)
        if number == 20 { #expect(client.streams.lent > settings.streamMemory / 2) }
      }
      for reader in readers { reader.close() }
      try await eventually { client.streams.lent == 0 }
    }
  }

  @Test("parts are claimed once, behind the last one or in a gap that is not too large")
  func claims() {
    let far = 500 + StreamClaims.largestGap
    let parts: [(part: Range<Int>, isClaimed: Bool, why: Comment)] = [
      (100..<200, true, "the first"), (100..<200, false, "twice"),
      (400..<500, true, "leaves 200..<400"), (350..<450, false, "half in a gap"),
      (100..<300, false, "half in a gap"), (250..<300, true, "leaves two gaps"),
      (300..<400, true, "a whole gap"), (200..<250, true, "a whole gap"),
      (200..<250, false, "twice"),
      (far + 1..<far + 2, false, "too far"), (far..<far + 10, true, "just near enough"),
      (far + 11..<far + 12, false, "gaps count together"), (500..<far - 5, true, "most of the gap"),
      (far + 11..<far + 12, true, "there is room again"),
      (3_999_990..<4_000_001, false, "past the end"),
      (300..<300, false, "nothing"),
    ]
    var claims = StreamClaims(100..<4_000_000)
    for (part, isClaimed, why) in parts {
      let result = claims.claim(part)
      #expect(result == isClaimed, why)
    }
    for _ in parts where claims.pending > 0 { claims.wasRead() }
    #expect(!claims.isAtEnd && claims.end == far + 12)
    var whole = StreamClaims(0..<20)
    let last = whole.claim(10..<20)
    #expect(last && whole.isAtEnd && !whole.isComplete)
    let first = whole.claim(0..<10)
    #expect(first && whole.isComplete && whole.pending == 2)
  }

  // MARK: Support

  static func check(
    _ number: Int, of bytes: [UInt8], by reader: any ChunkReader
  ) async throws {
    let range = number * piece..<min((number + 1) * piece, bytes.count)
    // Both ways in turn.
    if number.isMultiple(of: 2) {
      compare(try #require(try await reader.lend(range)), with: range, of: bytes)
    } else {
      let buffer = AlignedBuffer(count: piece)
      try await reader.read(range, into: buffer, at: 0)
      compare(buffer, with: range, of: bytes)
    }
  }

  static func compare(_ lent: any LentBytes, with range: Range<Int>, of bytes: [UInt8]) {
    let buffer = AlignedBuffer(count: range.count)
    lent.copy(to: buffer, at: 0)
    compare(buffer, with: range, of: bytes)
  }

  static func compare(_ buffer: AlignedBuffer, with range: Range<Int>, of bytes: [UInt8]) {
    let isRight = unsafe buffer.withBytes(0..<range.count) { read in
      unsafe bytes.withUnsafeBytes { all in
        guard let read = read.baseAddress, let all = all.baseAddress else {
          return false
        }
        return unsafe memcmp(read, all + range.lowerBound, range.count) == 0
      }
    }
    #expect(isRight, "\(range)")
  }

  struct Connected {
    let client: ChunkRPCClient
    let connection: any StorageServerConnection
    let connected: any ChunkStore
    var counters: RPCCounters { client.counters }
    var streams: StreamMemory { client.streams }
  }

  func withConnected(
    _ chunk: SampleChunk, settings: ChunkRPCClient.Settings = .patient,
    _ body: (Connected, any ChunkReader) async throws -> Void
  ) async throws {
    let store = try Sample.store()
    try await chunk.put(to: store)
    try await withServer([store]) { server in
      let client = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: settings)
      let connection = client.connect(to: "127.0.0.1:\(server.port)", server: Sample.server)
      let remote = connection.store(Sample.storeID)
      let result: Result<Void, any Error>
      do {
        let reader = try await remote.openChunk(chunk.id)
        defer { reader.close() }
        try await body(Connected(client: client, connection: connection, connected: remote), reader)
        result = .success(())
      } catch {
        result = .failure(error)
      }
      await connection.close()
      try result.get()
    }
  }
}
