import Base
import ChunkStore
import Erasure
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization
import TestSupport
import Testing

/// An engine over six stores that suspend, each on a server of its own unless told otherwise.
final class FaultyNode: Sendable {
  let stores: [FaultyStore]
  let engine: ObjectEngine
  let bucket: Bucket
  let wall: ManualClock
  private let metadata: SQLiteMetadata
  private let directory: TemporaryDirectory

  static func open(
    clock: SteppedClock = SteppedClock(jumps: true), seed: UInt64 = 1,
    faults: FaultTolerance = FaultTolerance(), servers: [Int] = Array(0..<6)
  ) async throws -> FaultyNode {
    let directory = TemporaryDirectory()
    let random = SeededRandom(seed: seed)
    let wall = ManualClock()
    var options = SQLiteOptions()
    options.synchronous = .off
    let metadata = try await SQLiteMetadata.open(
      path: directory.path + "/metadata.sqlite", clock: wall, random: random,
      pool: Installation.metadataPool, options: options)
    let lease = try await metadata.store.beginWriter(minimum: 0, ringVersion: 1)
    let stores = servers.indices.map { _ in
      FaultyStore(id: StoreID(high: random.next(), low: random.next()))
    }
    let nodes = zip(stores, servers).map { PlacementNode(id: $0.id, server: "server-\($1)") }
    let cluster = ClusterID(high: random.next(), low: random.next())
    var faults = faults
    faults.clock = clock
    let engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: .standard, faults: faults),
      metadata: metadata.store,
      stores: StoreSet(stores: stores, ring: PlacementRing(nodes: nodes, width: 6)),
      keys: KeyRing(cluster: cluster, random: random.bytes),
      buffers: BufferPool(limit: 64 << 20, cacheLimit: 16 << 20), pool: Installation.pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: cluster, clock: wall,
      random: random, log: .none)
    let bucket = try await metadata.store.createBucket(
      name: "bucket", tenant: 1, owner: UserID(1), purpose: .s3)
    return FaultyNode(stores, engine, bucket, wall, metadata, directory)
  }

  private init(
    _ stores: [FaultyStore], _ engine: ObjectEngine, _ bucket: Bucket, _ wall: ManualClock,
    _ metadata: SQLiteMetadata,
    _ directory: TemporaryDirectory
  ) {
    self.stores = stores
    self.engine = engine
    self.bucket = bucket
    self.wall = wall
    self.metadata = metadata
    self.directory = directory
  }

  var store: SQLMetadataStore { metadata.store }

  func close() async { await metadata.close() }

  /// Some stores have a fault at some step from now on, the others are well.
  func fault(_ places: [Int], _ fault: FaultyStore.Fault, at steps: FaultyStore.Step...) {
    for (place, store) in stores.enumerated() {
      let isFaulty = places.contains(place)
      store.decide { isFaulty && steps.contains($0) ? fault : nil }
    }
  }

  /// Some stores do nothing at all, the others are well.
  func fault(_ places: [Int], everywhere fault: FaultyStore.Fault) {
    for (place, store) in stores.enumerated() {
      let isFaulty = places.contains(place)
      store.decide { _ in isFaulty ? fault : nil }
    }
  }

  /// All stores are well again, as far as the engine knows too.
  func recover() async {
    for store in stores { store.decide(nil) }
    await engine.stores.refresh()
  }

  func put(_ key: String, _ content: [UInt8]) async throws {
    _ = try await engine.put(
      PutRequest(
        bucket: bucket, key: Array(key.utf8), attributes: ObjectAttributes(), owner: UserID(1)),
      from: ArraySource(content))
  }

  func lookUp(_ key: String) async throws -> ObjectVersion? {
    try await store.lookUp(
      bucket: bucket.name, tenant: bucket.tenant, key: Array(key.utf8), versionID: nil,
      withContent: true
    ).version
  }

  func extents(_ key: String) async throws -> [Extent] {
    guard let version = try await lookUp(key) else { return [] }
    return try await store.extents(of: version.number, in: 0..<version.size).map(\.extent)
  }

  func get(_ key: String, _ range: Range<Int>? = nil) async throws -> [UInt8]? {
    guard let version = try await lookUp(key) else { return nil }
    let range = range ?? 0..<Int(version.size)
    let read = try await engine.read(version, Int64(range.lowerBound)..<Int64(range.upperBound))
    let result = Mutex<[UInt8]>([])
    try await read.stream { buffer, piece in
      let bytes = buffer.bytes(piece)
      result.withLock { $0 += bytes }
    }
    return result.withLock { $0 }
  }

  /// Every chunk that the row does not call missing is there, and any server may be lost besides.
  func expectDurable(_ key: String, _ comment: Comment) async throws {
    for extent in try await extents(key) {
      var onServer: [String: Int] = [:]
      var count = 0
      for index in extent.stores.indices where extent.missing & 1 << UInt32(index) == 0 {
        let chunk = ChunkID(extent: extent.id, index: UInt8(index))
        let store = stores.first { $0.id == extent.stores[index] }
        #expect(store?.chunks.contains(chunk) == true, comment)
        count += 1
        onServer[engine.stores.ring.node(extent.stores[index])?.server ?? "", default: 0] += 1
      }
      #expect(count >= 5, comment)
      #expect(count - (onServer.values.max() ?? 0) >= 4, comment)
      // What is not as it should be is known to those who mend it.
      let queued = try await store.repairs(limit: 1000).contains { $0.extent.id == extent.id }
      #expect(queued || extent.missing == 0, comment)
      let narrow = try await store.underSpread(after: nil, limit: 1000).contains {
        $0.id == extent.id
      }
      #expect(narrow || Set(extent.stores).count == 6, comment)
    }
  }

  /// Nothing waits or is held any more, once the last tasks have let go of what they captured.
  func expectAtRest(_ comment: Comment) async {
    for _ in 0..<100_000 where !isAtRest { await Task.yield() }
    #expect(isAtRest, comment)
  }

  private var isAtRest: Bool {
    engine.buffers.used == 0 && engine.buffers.waiting == 0
      && stores.allSatisfy { $0.hanging == 0 && $0.open == 0 }
  }
}

/// Contents that are made fast and alike nowhere that blocks or segments begin.
enum FaultyContent {
  private static let pattern = content(61_001, seed: 1)

  static func bytes(_ size: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(size + pattern.count)
    while result.count < size { result += pattern }
    result.removeLast(result.count - size)
    return result
  }
}
