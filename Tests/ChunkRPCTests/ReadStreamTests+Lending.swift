import Base
import ChunkStore
import Runtime
import TestSupport
import Testing

@testable import ChunkRPC

/// Bytes that are lent in the messages that brought them.
extension ReadStreamTests {
  @Test("what was lent stays as it was when its stream and its connection have ended")
  func lent() async throws {
    let chunk = SampleChunk(9, length: 90 * Self.piece - 4096 + 64)
    let bytes = chunk.bytes
    var lent: [(range: Range<Int>, bytes: any LentBytes)] = []
    try await withConnected(chunk) { client, reader in
      // Of three pieces, so that many begin in one message and end in the next.
      for start in stride(from: 0, to: bytes.count, by: 3 * Self.piece) {
        let range = start..<min(start + 3 * Self.piece, bytes.count)
        lent.append((range, try #require(try await reader.lend(range))))
      }
      reader.close()
      try await eventually { client.streams.lent == 0 }
    }
    for (range, found) in lent {
      #expect(found.count == range.count)
      Self.compare(found, with: range, of: bytes)
    }
  }

  @Test("any part of what was lent is had by itself", arguments: [1, 2, 3] as [UInt64])
  func parts(seed: UInt64) async throws {
    let chunk = SampleChunk(10, length: 30 * Self.piece)
    let bytes = chunk.bytes
    var random = SeededRandom(seed: seed)
    try await withConnected(chunk) { _, reader in
      for start in stride(from: 0, to: bytes.count, by: 3 * Self.piece) {
        let lent = try #require(try await reader.lend(start..<start + 3 * Self.piece))
        for _ in 0..<8 {
          let ends = [0, 1].map { _ in Int.random(in: 0...lent.count, using: &random) }.sorted()
          let part = ends[0]..<ends[1]
          let found = unsafe lent.withRuns(part) { runs in
            unsafe runs.reduce(into: [UInt8]()) { unsafe $0.append(contentsOf: $1) }
          }
          #expect(found.count == part.count)
          Self.compare(
            LentArray(found), with: start + part.lowerBound..<start + part.upperBound, of: bytes)
        }
      }
    }
  }

  @Test("more than a message is not lent, and nothing outside the chunk or of one that is closed")
  func limits() async throws {
    let chunk = SampleChunk(11, length: 8 * Self.piece)
    try await withConnected(chunk) { _, reader in
      for (range, count) in [
        (0..<4 * Self.piece, 4 * Self.piece), (0..<5 * Self.piece, nil),
        (Self.piece..<Self.piece, 0),
      ] as [(Range<Int>, Int?)] {
        let lent = try await reader.lend(range)
        #expect(lent?.count == count)
      }
      for range in [-Self.piece..<0, 7 * Self.piece..<9 * Self.piece] {
        await #expect(throws: ChunkStoreError.tooLarge("a range outside the chunk")) {
          _ = try await reader.lend(range)
        }
      }
      reader.close()
      await #expect(throws: ChunkStoreError.io("the chunk was closed")) {
        _ = try await reader.lend(0..<Self.piece)
      }
    }
  }

  @Test("a chunk that came whole is lent, too")
  func whole() async throws {
    let chunk = SampleChunk(12, length: 100_000)
    try await withConnected(chunk) { _, reader in
      for range in [0..<65_536, 65_536..<100_000, 0..<100_000] {
        let lent = try #require(try await reader.lend(range))
        Self.compare(lent, with: range, of: chunk.bytes)
      }
    }
  }
}
