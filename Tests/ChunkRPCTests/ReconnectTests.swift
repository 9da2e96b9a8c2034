import ChunkRPC
import ChunkStore
import GRPC
import TestSupport
import Testing

@Suite("A server that comes back")
struct ReconnectTests {
  @Test("its health is told at the next look, and what is written to it then does not fail")
  func atOnce() async throws {
    let port = try await withServer([]) { $0.port }
    let connection = ChunkRPCClient(security: .sharedSecret(Sample.secret), settings: .patient)
      .connect(to: "127.0.0.1:\(port)", server: Sample.server)
    let remote = connection.store(Sample.storeID)
    let chunk = SampleChunk(1, length: 640)
    for _ in 0..<4 {
      #expect(await failure(of: { try await connection.health() }) != nil)
      guard case .offline = await failure(of: { try await chunk.put(to: remote) }) else {
        Issue.record("a server that is not there took a chunk")
        return
      }
    }
    try await withServer([try Sample.store()], port: port) { _ in
      _ = try await connection.health()
      // Each of its connections.
      for number in 1..<9 as Range<UInt64> {
        try await SampleChunk(number, length: 640).put(to: remote)
      }
    }
    await connection.close()
  }
}
