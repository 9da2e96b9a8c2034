import Base
import ChunkStore
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

/// Chunks of writes that failed while the database was away.
@Suite("What failed writes leave")
struct DiscardTests {
  /// Bytes, and something that happens before the first of them.
  private final class LateSource: ObjectSource {
    private let content: ArraySource
    private let happens: @Sendable () -> Void

    init(_ content: [UInt8], _ happens: @escaping @Sendable () -> Void) {
      self.content = ArraySource(content)
      self.happens = happens
    }

    var expectedLength: Int64? { content.expectedLength }

    func read(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
      happens()
      return try await content.read(into: buffer, at: offset, count: count)
    }
  }

  private static let size = 5000

  private static func put(
    _ gateway: TestGateway, _ happens: @escaping @Sendable () -> Void
  ) async throws {
    var request = PutRequest(
      bucket: try await gateway.bucket(), key: Array("key".utf8), attributes: ObjectAttributes(),
      owner: TestGateway.owner)
    request.allowsInline = false
    _ = try await gateway.engine.put(
      request, from: LateSource(TestGateway.content("key", size), happens))
  }

  private static func chunkCount(_ cluster: TestCluster) async throws -> Int {
    var count = 0
    for server in cluster.servers { count += try await server.chunks().count }
    return count
  }

  @Test("of a write that is refused while the database is away nothing is left")
  func refused() async throws {
    let cluster = try await TestCluster(seed: 1, servers: 6)
    let gateway = try await cluster.gateway { $0.deletionDelay = .seconds(10) }
    try await gateway.live(5)
    let driver = gateway.driver
    await #expect(throws: EngineError.metadata(.unavailable("cut off"))) {
      try await Self.put(gateway) { driver.isReachable.withLock { $0 = false } }
    }
    #expect(try await Self.chunkCount(cluster) == 6)
    await #expect(throws: MetadataError.unavailable("cut off")) {
      try await gateway.run("discards")
    }
    driver.isReachable.withLock { $0 = true }
    try await gateway.live { try await Self.chunkCount(cluster) == 0 }
    #expect(try await gateway.store.counts().tombstones == 0)
    await cluster.close()
  }

  @Test(
    "what became of a commit decides about its chunks, once it is known",
    arguments: [true, false])
  func unanswered(takesPlace: Bool) async throws {
    let cluster = try await TestCluster(seed: 2, servers: 6)
    let gateway = try await cluster.gateway { $0.deletionDelay = .seconds(10) }
    try await gateway.live(5)
    let driver = gateway.driver
    await #expect(throws: EngineError.metadata(.unknownOutcome)) {
      try await Self.put(gateway) { driver.unanswered.withLock { $0 = takesPlace } }
    }
    try await gateway.live(120)
    #expect(try await gateway.store.counts().tombstones == 0)
    #expect(try await Self.chunkCount(cluster) == 6)
    driver.unresolved.withLock { $0 = 0 }
    try await gateway.run("discards")
    #expect(try await gateway.store.counts().tombstones == (takesPlace ? 0 : 1))
    try await gateway.live(300)
    #expect(try await Self.chunkCount(cluster) == (takesPlace ? 6 : 0))
    #expect(try await gateway.reads("key") == takesPlace)
    await cluster.close()
  }

  @Test("after a restore of the database nothing of it is deleted")
  func held() async throws {
    let cluster = try await TestCluster(seed: 3, servers: 6)
    let gateway = try await cluster.gateway()
    try await gateway.live(5)
    let driver = gateway.driver
    await #expect(throws: EngineError.metadata(.unknownOutcome)) {
      try await Self.put(gateway) { driver.unanswered.withLock { $0 = false } }
    }
    driver.unresolved.withLock { $0 = 0 }
    try await gateway.store.setSetting(DeletionHold.setting, [1])
    try await gateway.run("discards")
    #expect(try await gateway.store.counts().tombstones == 0)
    try await gateway.store.setSetting(DeletionHold.setting, [0])
    try await gateway.run("discards")
    #expect(try await gateway.store.counts().tombstones == 1)
    await cluster.close()
  }
}
