import Base
import ChunkStore
import Runtime
import TestSupport
import Testing

@testable import ChunkRPC

/// Reads of what has come. The reads of pieces 0 to 17, one after the other, make streams of which
/// the last one brings pieces 17 to 52.
extension ReadStreamTests {
  private static let first = 18
  private static let end = 53

  private static func readAtOnce(
    _ range: Range<Int>, of bytes: [UInt8], by reader: any ChunkReader
  ) -> Bool {
    let bytesRange = range.lowerBound * piece..<range.upperBound * piece
    guard let lent = reader.lendAtOnce(bytesRange) else { return false }
    compare(lent, with: bytesRange, of: bytes)
    return true
  }

  @Test("what a stream brings can be read when it has come, to its end")
  func whatHasCome() async throws {
    let chunk = SampleChunk(5, length: 60 * Self.piece)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      #expect(!Self.readAtOnce(0..<1, of: bytes, by: reader), "nobody has asked for it")
      for number in 0..<Self.first { try await Self.check(number, of: bytes, by: reader) }
      for number in Self.first..<Self.end {
        try await eventually { Self.readAtOnce(number..<number + 1, of: bytes, by: reader) }
      }
      // The stream has ended with its last part.
      try await eventually { client.streams.lent == 0 }
      #expect(!Self.readAtOnce(Self.end..<Self.end + 1, of: bytes, by: reader))
      for number in Self.end..<60 { try await Self.check(number, of: bytes, by: reader) }
    }
  }

  @Test("what comes later, has been read, or needs another message is for an ordinary read")
  func whatHasNotCome() async throws {
    let chunk = SampleChunk(6, length: 60 * Self.piece)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      for number in 0..<Self.first { try await Self.check(number, of: bytes, by: reader) }
      try await eventually { Self.readAtOnce(18..<19, of: bytes, by: reader) }
      for range in [18..<19, 17..<18, 20..<21, 19..<24, 52..<54, 59..<61] {
        #expect(!Self.readAtOnce(range, of: bytes, by: reader), "\(range)")
      }
      for number in 17..<60 { try await Self.check(number, of: bytes, by: reader) }
      // Opening, the first piece, four streams, and two pieces again.
      let calls = client.counters.snapshot.requests.reduce(0) { $0 + $1.count }
      #expect(calls == 1 + 1 + 4 + 2)
      reader.close()
      #expect(!Self.readAtOnce(19..<20, of: bytes, by: reader), "closed")
    }
  }

  @Test("reads at once and others go together in any order", arguments: [1, 2, 3] as [UInt64])
  func mixed(seed: UInt64) async throws {
    let chunk = SampleChunk(7, length: 96 * Self.piece)
    let bytes = chunk.bytes
    let random = SeededRandom(seed: seed)
    try await withConnected(chunk) { client, reader in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<96 {
          if number > 3 { try await group.next() }
          let isTried = random.next() % 4 > 0
          group.addTask {
            if isTried, Self.readAtOnce(number..<number + 1, of: bytes, by: reader) { return }
            try await Self.check(number, of: bytes, by: reader)
          }
        }
        try await group.waitForAll()
      }
      reader.close()
      try await eventually { client.streams.lent == 0 }
    }
  }

  @Test("what does not match its checksum is not given, and the ordinary read says so")
  func wrong() async throws {
    let chunk = SampleChunk(8, length: 60 * Self.piece)
    let bytes = chunk.bytes
    try await withConnected(chunk) { client, reader in
      let server = try #require(client.connection as? RemoteServer)
      var trailer = reader.trailer
      trailer.blockChecksums[20 * Self.piece / ChunkLimits.checksumSpan + 3] ^= 1
      let doubting = RemoteChunkReader(
        chunk.id, trailer: trailer, whole: nil, store: Sample.storeID, server: server)
      defer { doubting.close() }
      for number in 0..<Self.first { try await Self.check(number, of: bytes, by: doubting) }
      for number in Self.first..<20 {
        try await eventually { Self.readAtOnce(number..<number + 1, of: bytes, by: doubting) }
      }
      // The fourth piece of its message, which has come with those before.
      #expect(!Self.readAtOnce(20..<21, of: bytes, by: doubting))
      await #expect(throws: ChunkStoreError.self) {
        try await Self.check(20, of: bytes, by: doubting)
      }
      await #expect(throws: ChunkStoreError.self) {
        _ = try await doubting.lend(20 * Self.piece..<21 * Self.piece)
      }
      for number in 21..<60 { try await Self.check(number, of: bytes, by: doubting) }
    }
  }
}
