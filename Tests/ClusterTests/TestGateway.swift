import Base
import ChunkStore
import Cluster
import Erasure
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization

/// A gateway whose workers a test runs step by step.
final class TestGateway: Sendable {
  let cluster: TestCluster
  let driver: SharedDriver
  let store: SQLMetadataStore
  let engine: ObjectEngine
  let membership: ClusterMembership
  let work: BackgroundWork

  var administration: ClusterAdministration { ClusterAdministration(membership) }

  init(_ cluster: TestCluster, _ configuration: BackgroundConfiguration) async throws {
    self.cluster = cluster
    driver = SharedDriver(cluster.metadata.driver)
    store = SQLMetadataStore(driver: driver, random: cluster.random)
    let width = cluster.scheme.total
    let stores = StoreSet(
      stores: [], ring: PlacementRing(nodes: [], width: width), ringVersion: 0)
    membership = ClusterMembership(
      metadata: store, connecting: cluster.network, stores: stores, cluster: cluster.id,
      width: width, configuration: configuration, clock: cluster.time.monotonic, log: .none)
    try await membership.refresh()
    let writer = try await WriterKeeper.begin(
      store, ringVersion: stores.ringVersion, length: configuration.leaseLength,
      clock: cluster.time.monotonic, random: cluster.random)
    engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: cluster.scheme), metadata: store,
      stores: stores, keys: cluster.keys,
      buffers: BufferPool(limit: 32 << 20, cacheLimit: 8 << 20), pool: TestCluster.pool,
      writer: writer, clusterID: cluster.id, clock: cluster.time.wall, random: cluster.random,
      log: .none)
    work = BackgroundWork(
      engine: engine, membership: membership,
      holder: Int64(truncatingIfNeeded: cluster.random.next() >> 1), pool: TestCluster.pool,
      log: .none)
  }

  /// Runs steps of a worker until it has nothing more to do now.
  func run(_ name: String, limit: Int = 20_000) async throws {
    guard let worker = work.workers.first(where: { $0.name == name }) else {
      preconditionFailure("no worker \(name)")
    }
    try await withTaskExecutorPreference(TestCluster.pool) {
      for _ in 0..<limit {
        if case .idle = try await worker.step() { return }
      }
      preconditionFailure("\(name) never rests")
    }
  }

  /// What each gateway does for itself.
  func beat() async throws {
    for name in ["membership", "leadership", "writer-lease", "discards"] { try await run(name) }
  }

  static let ledNames = [
    "writer-reclaim", "losses", "repair", "spread", "rebalance", "reconcile", "strays", "sweep",
    "tombstones", "usage",
  ]

  /// `seconds` of the whole gateway's life, in steps of five.
  func live(_ seconds: Int64) async throws {
    for _ in 0..<max(1, seconds / 5) {
      cluster.time.advance(5)
      try await beat()
      for name in Self.ledNames { try await run(name) }
    }
  }

  struct NeverHappened: Error {}

  /// Lives until `isDone`, half an hour at most.
  func live(until isDone: () async throws -> Bool) async throws {
    for _ in 0..<180 {
      if try await isDone() { return }
      try await live(10)
    }
    throw NeverHappened()
  }

  // MARK: Objects

  static let owner = UserID(1)

  func bucket() async throws -> Bucket {
    if let known = try await store.bucket(named: "bucket", tenant: 1) { return known }
    return try await store.createBucket(
      name: "bucket", tenant: 1, owner: Self.owner, purpose: .s3)
  }

  @discardableResult
  func put(_ key: String, size: Int = 5000) async throws -> Extent? {
    let bucket = try await bucket()
    var request = PutRequest(
      bucket: bucket, key: Array(key.utf8), attributes: ObjectAttributes(), owner: Self.owner)
    request.allowsInline = false
    let result = try await engine.put(request, from: ArraySource(Self.content(key, size)))
    return try await store.extents(of: result.version.number, in: 0..<Int64(size)).first?.extent
  }

  static func content(_ key: String, _ size: Int) -> [UInt8] {
    let random = SeededRandom(seed: UInt64(key.utf8.reduce(7) { ($0 &* 31) &+ Int($1) }))
    return random.bytes(size)
  }

  func putMany(_ count: Int, size: Int = 5000) async throws {
    for number in 0..<count { try await put("key\(number)", size: size) }
  }

  /// Whether an object reads back as it was written.
  func reads(_ key: String, size: Int = 5000) async throws -> Bool {
    let found = try await store.lookUp(
      bucket: "bucket", tenant: 1, key: Array(key.utf8), versionID: nil, withContent: true)
    guard let version = found.version else { return false }
    let read = try await engine.read(version, 0..<version.size)
    var result: [UInt8] = []
    try await read.stream { buffer, piece in result += buffer.bytes(piece) }
    return result == Self.content(key, size)
  }

  func readsAll(_ count: Int, size: Int = 5000) async throws -> Bool {
    for number in 0..<count {
      guard try await reads("key\(number)", size: size) else { return false }
    }
    return true
  }

  func delete(_ key: String) async throws {
    _ = try await engine.delete(bucket: try await bucket().id, key: Array(key.utf8))
  }
}
