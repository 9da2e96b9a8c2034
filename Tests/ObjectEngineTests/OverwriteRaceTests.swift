import Base
import Cluster
import Metadata
import ObjectEngine
import Runtime
import Synchronization
import Testing

@Suite("Overwrites and reads at once")
struct OverwriteRaceTests {
  private final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }
    func add() { count.withLock { $0 += 1 } }
  }

  /// Sizes in turn: inline, a small chunk, one stripe, two stripes.
  private static let sizes = [5000, 40_000, 700_000, 1_200_000]

  private static func size(_ number: Int) -> Int { sizes[number % sizes.count] }

  private static func put(_ number: Int, _ node: FaultyNode) async throws {
    let attributes = ObjectAttributes(headers: [.init(name: "content-type", value: "\(number)")])
    _ = try await node.engine.put(
      PutRequest(
        bucket: node.bucket, key: Array("key".utf8), attributes: attributes, owner: UserID(1)),
      from: ArraySource([UInt8](repeating: UInt8(number), count: size(number))))
  }

  /// Reads the object once; false when it was replaced between look-up and reading.
  private static func read(_ node: FaultyNode) async throws -> Bool {
    let version = try #require(try await node.lookUp("key"))
    let number = try #require(version.attributes.headers.first.flatMap { Int($0.value) })
    #expect(version.size == size(number))
    if version.extentCount == 0 {
      let bytes = try node.engine.inlineContent(version)
      #expect(bytes == [UInt8](repeating: UInt8(number), count: size(number)))
      return true
    }
    let read: ObjectRead
    do {
      read = try await node.engine.read(version, 0..<version.size)
    } catch EngineError.metadata(.noSuchVersion) {
      return false
    }
    let found = Mutex<[UInt8]>([])
    try await read.stream { buffer, range in
      let bytes = buffer.bytes(range)
      found.withLock { $0 += bytes }
    }
    #expect(found.withLock { $0 } == [UInt8](repeating: UInt8(number), count: size(number)))
    return true
  }

  @Test("a read gives one version whole, or none, while chunks of replaced ones are deleted")
  func race() async throws {
    let node = try await FaultyNode.open()
    try await Self.put(0, node)
    let worker = TombstoneWorker(engine: node.engine, delay: .zero, log: .none)
    let (done, reads) = (Counter(), Counter())
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<3 {
        group.addTask {
          for round in 0..<25 { try await Self.put(writer * 60 + round, node) }
          done.add()
        }
        group.addTask {
          while done.value < 3 {
            if try await Self.read(node) { reads.add() }
          }
        }
      }
      group.addTask(executorPreference: node.engine.pool) {
        while done.value < 3 {
          node.wall.advance(seconds: 100)
          _ = try await worker.step()
        }
      }
      try await group.waitForAll()
    }
    #expect(reads.value > 0 && worker.progress.itemsDone > 0)
    await node.close()
  }
}
