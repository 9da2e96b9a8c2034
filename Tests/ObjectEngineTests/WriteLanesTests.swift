import Base
import Checksums
import Erasure
import Runtime
import Sealing
import TestSupport
import Testing

@testable import ObjectEngine

@Suite("The lanes of a streaming write")
struct WriteLanesTests {
  private static func stripe(of node: FaultyNode) async throws -> PlainStripe {
    let scheme = ErasureScheme.standard
    let count = scheme.data * SegmentLayout.plaintextByteCount
    let layout = StripeLayout(
      scheme: scheme,
      blockLength: StripeLayout.blockLength(
        stored: SegmentLayout.storedByteCount(plaintext: count), scheme: scheme),
      plaintextLength: count)
    let buffer = try await node.engine.buffers.stripe(layout.end)
    return PlainStripe(buffer: buffer, layout: layout, count: count, isLast: false)
  }

  @Test("whichever lane ends first, each tells why the storing failed")
  func cause() async throws {
    let node = try await FaultyNode.open()
    node.fault([0, 1, 2, 3, 4, 5], everywhere: .fail(.offline("")))
    let draft = try node.engine.draftExtent(scheme: .standard)
    let fanOut = ChunkFanOut(draft, engine: node.engine)
    let lanes = WriteLanes()
    let coding = Task { try await lanes.runCoding(StripeEncoder(draft)) }
    let storing = Task { try await lanes.runStoring(fanOut) }
    let digesting = Task { try await lanes.runDigests(ContentHasher(algorithms: [])) }
    await #expect(throws: EngineError.self) {
      while true { try await lanes.send(try await Self.stripe(of: node)) }
    }
    await #expect(throws: EngineError.self) { try await coding.value }
    await #expect(throws: EngineError.self) { try await storing.value }
    lanes.finish()
    try await digesting.value
    await fanOut.abort()
    await node.close()
  }
}
