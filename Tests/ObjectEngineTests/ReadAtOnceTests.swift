import ChunkStore
import Erasure
import ObjectEngine
import Runtime
import TestSupport
import Testing

@Suite("Reads of blocks that have come already")
struct ReadAtOnceTests {
  private static let size = 5_300_000
  private static let block = ExtentGeometry.fullBlockLength

  @Test("what has come is not asked for; the rest is, or parity in its place")
  func blocks() async throws {
    // On a clock that stands still no read is slow.
    let node = try await FaultyNode.open(clock: SteppedClock())
    let content = FaultyContent.bytes(Self.size)
    try await node.put("key", content)
    // From the second stripe on, of which four chunks have come, or three.
    for count in [4, 3] {
      let chosen = try #require(try await node.extents("key").first).stores.prefix(count)
      for store in node.stores {
        let isHere = chosen.contains(store.id)
        store.decideWhatHasCome { isHere && $0 >= Self.block }
        store.decide { step in
          if case .read(let offset) = step, isHere, offset >= Self.block {
            .fail(.io("asked for what is here"))
          } else {
            nil
          }
        }
      }
      let before = node.stores.reduce(0) { $0 + $1.calls(.read(2 * Self.block)) }
      #expect(isSame(try await node.get("key"), content[...]), "\(count)")
      let asked = node.stores.reduce(0) { $0 + $1.calls(.read(2 * Self.block)) } - before
      #expect(asked == 4 - count, "\(count)")
      await node.expectAtRest("\(count)")
    }
    await node.close()
  }
}
