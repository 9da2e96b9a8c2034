import Base
import ChunkStore
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import TestSupport
import Testing

/// A source that stops in the middle: it waits for ever, or fails.
private final class BrokenSource: ObjectSource {
  struct Failure: Error, Equatable {}

  let expectedLength: Int64?
  private let count: Int
  private let waits: Bool
  private let reached: @Sendable () -> Void
  private var given = 0

  /// Gives `count` bytes of `length`, then waits until it is cancelled, or throws.
  init(
    _ count: Int, of length: Int64?, waits: Bool, reached: @escaping @Sendable () -> Void = {}
  ) {
    self.count = count
    expectedLength = length
    self.waits = waits
    self.reached = reached
  }

  func read(into buffer: AlignedBuffer, at offset: Int, count wanted: Int) async throws -> Int {
    let taken = min(wanted, count - given)
    guard taken > 0 else {
      reached()
      guard waits else { throw Failure() }
      let (stream, _) = AsyncStream<Void>.makeStream()
      for await _ in stream {}
      throw CancellationError()
    }
    buffer.zero(offset..<offset + taken)
    given += taken
    return taken
  }
}

@Suite("Writes and copies that go wrong leave nothing behind")
struct ModelFaultTests {
  private static let stripe = 1 << 20

  private func bucket(_ node: ModelNode) async throws -> Bucket {
    try await node.store.createBucket(
      name: "bucket", tenant: 1, owner: UserID(1), purpose: .s3)
  }

  private func request(_ bucket: Bucket, _ key: String) -> PutRequest {
    PutRequest(
      bucket: bucket, key: Array(key.utf8), attributes: ObjectAttributes(), owner: UserID(1))
  }

  private func lookUp(_ node: ModelNode, _ key: String) async throws -> ObjectVersion? {
    try await node.store.lookUp(
      bucket: "bucket", tenant: 1, key: Array(key.utf8), versionID: nil, withContent: true
    ).version
  }

  /// Nothing is lent, read, begun or stored that nothing names.
  private func expectClean(_ node: ModelNode) async throws {
    // A task's last reference to what it returned may go a moment after the one who took it went on.
    try await eventually { node.engine.buffers.used == 0 }
    #expect(node.engine.buffers.waiting == 0)
    #expect(node.engine.reads.oldest == nil)
    #expect(try node.unfinishedFiles() == [])
    let chunks = try await node.chunks()
    let named = try await node.store.named(among: Array(chunks.keys))
    #expect(Set(chunks.keys).subtracting(named).isEmpty, "chunks that nothing names")
  }

  @Test(
    "a source that fails in the middle", arguments: [0, 10, 20_000, 1 << 20, 3 << 20],
    [true, false])
  func failing(count: Int, isKnown: Bool) async throws {
    let node = try await ModelNode.open()
    let bucket = try await bucket(node)
    await #expect(throws: BrokenSource.Failure.self) {
      _ = try await node.engine.put(
        request(bucket, "k"),
        from: BrokenSource(count, of: isKnown ? Int64(count + 1) : nil, waits: false))
    }
    #expect(try await lookUp(node, "k") == nil)
    try await expectClean(node)
    await node.close()
  }

  @Test("a write that is cancelled while its client sends nothing", arguments: [10, 3 << 20])
  func cancelled(count: Int) async throws {
    let node = try await ModelNode.open()
    let bucket = try await bucket(node)
    let (reached, signal) = AsyncStream<Void>.makeStream()
    let request = request(bucket, "k")
    let engine = node.engine
    let write = Task {
      try await engine.put(
        request,
        from: BrokenSource(count, of: 9 << 20, waits: true) { signal.finish() })
    }
    for await _ in reached {}
    write.cancel()
    let result = await write.result
    #expect(throws: (any Error).self) { try result.get() }
    #expect(try await lookUp(node, "k") == nil)
    try await expectClean(node)
    await node.close()
  }

  @Test("content that is refused at its end", arguments: [100, 20_000, 3 << 20])
  func refused(count: Int) async throws {
    struct Refused: Error {}
    let node = try await ModelNode.open()
    let bucket = try await bucket(node)
    await #expect(throws: Refused.self) {
      _ = try await node.engine.put(
        request(bucket, "k"), from: ArraySource([UInt8](repeating: 1, count: count))
      ) { _ in throw Refused() }
    }
    #expect(try await lookUp(node, "k") == nil)
    try await expectClean(node)
    await node.close()
  }

  @Test(
    "one store failing is missing and queued, the chunks of two go elsewhere",
    arguments: [20_000, 3 << 20])
  func quorum(count: Int) async throws {
    let node = try await ModelNode.open()
    let bucket = try await bucket(node)
    let content = [UInt8](repeating: 3, count: count)
    node.stores[2].setAway(true)
    _ = try await node.engine.put(request(bucket, "one"), from: ArraySource(content))
    #expect(try await node.store.repairs(limit: 10).count == 1)
    // Well again as far as the engine knows, so that the next write meets two that fail.
    node.stores[2].setAway(false)
    await node.engine.stores.refresh()
    node.stores[2].setAway(true)
    node.stores[4].setAway(true)
    _ = try await node.engine.put(request(bucket, "two"), from: ArraySource(content))
    // It has learnt: the next one goes to the four that are left.
    _ = try await node.engine.put(request(bucket, "two"), from: ArraySource(content))
    for key in ["one", "two"] {
      let version = try #require(try await lookUp(node, key))
      let read = try await node.engine.read(version, 0..<version.size)
      var bytes: [UInt8] = []
      try await read.stream { buffer, range in bytes += buffer.bytes(range) }
      #expect(bytes == content)
    }
    for store in node.stores { store.setAway(false) }
    try await expectClean(node)
    await node.close()
  }

  @Test("a bucket deleted under a running write takes nothing", arguments: [100, 20_000, 3 << 20])
  func bucketGone(count: Int) async throws {
    let node = try await ModelNode.open()
    let bucket = try await bucket(node)
    let content = [UInt8](repeating: 1, count: count)
    try await node.store.deleteBucket(bucket.id)
    await #expect(throws: EngineError.metadata(.noSuchBucket)) {
      _ = try await node.engine.put(request(bucket, "k"), from: ArraySource(content))
    }
    try await expectClean(node)
    await node.close()
  }

  @Test("more writes at once than the buffers suffice for all get done")
  func manyWrites() async throws {
    let node = try await ModelNode.open(bufferLimit: 9 << 20)
    let bucket = try await bucket(node)
    let engine = node.engine
    let size = 3 * Self.stripe + 5
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<24 {
        let request = request(bucket, "k-\(number)")
        group.addTask {
          let bytes = [UInt8](repeating: UInt8(number), count: size)
          let source = ModelSource(
            bytes, isKnown: number.isMultiple(of: 2), seed: UInt64(number))
          _ = try await engine.put(request, from: source)
        }
      }
      try await group.waitForAll()
    }
    try await expectClean(node)
    await node.close()
  }

  @Test("more copies at once than the buffers suffice for all get done")
  func manyCopies() async throws {
    let node = try await ModelNode.open(bufferLimit: 9 << 20)
    let bucket = try await bucket(node)
    let content = [UInt8](repeating: 5, count: 3 * Self.stripe + 5)
    _ = try await node.engine.put(request(bucket, "source"), from: ArraySource(content))
    let source = try #require(try await lookUp(node, "source"))
    let engine = node.engine
    let etags = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<24 {
        let request = request(bucket, "copy-\(number)")
        group.addTask { try await engine.copy(source, to: request).etag }
      }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(etags == [source.etag])
    try await expectClean(node)
    await node.close()
  }

  @Test("more copies of an extent at once than the buffers suffice for all get done")
  func manyExtentCopies() async throws {
    let node = try await ModelNode.open(bufferLimit: 9 << 20)
    let bucket = try await bucket(node)
    let content = [UInt8](repeating: 5, count: 3 * Self.stripe + 5)
    let put = try await node.engine.put(request(bucket, "source"), from: ArraySource(content))
    let source = try #require(try await lookUp(node, "source"))
    let link = try #require(try await node.store.extents(of: source.number, in: 0..<1).first)
    let engine = node.engine
    let etags = try await withThrowingTaskGroup(of: String.self) { group in
      for number in 0..<24 {
        let request = request(bucket, "copy-\(number)")
        group.addTask { try await engine.copy(link.extent, to: request).etag }
      }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(etags == [put.etag])
    try await expectClean(node)
    await node.close()
  }

  @Test(
    "more downloads at once than the buffers suffice for all get done")
  func manyReads() async throws {
    let node = try await ModelNode.open(bufferLimit: 9 << 20)
    let bucket = try await bucket(node)
    let content = [UInt8](repeating: 5, count: 5 * Self.stripe + 5)
    _ = try await node.engine.put(request(bucket, "source"), from: ArraySource(content))
    let source = try #require(try await lookUp(node, "source"))
    let engine = node.engine
    let sizes = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<24 {
        group.addTask {
          let read = try await engine.read(source, 0..<source.size)
          var count = 0
          try await read.stream { _, range in
            count += range.count
            await Task.yield()
          }
          return count
        }
      }
      return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
    }
    #expect(sizes == [content.count])
    try await expectClean(node)
    await node.close()
  }
}
