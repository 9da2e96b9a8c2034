import Base
import ChunkStore
import Checksums
import Disk
import Erasure
import Foundation
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization
import TestSupport
import Testing

/// What an installation is made of while it is closed: a directory, ids and keys.
struct InstallationPlan: Sendable {
  let directory: TemporaryDirectory
  let cluster: ClusterID
  let stores: [StoreID]
  let keys: KeyRing
  let scheme: ErasureScheme

  init(seed: UInt64, storeCount: Int = 6, scheme: ErasureScheme = .standard) {
    let random = SeededRandom(seed: seed)
    let cluster = ClusterID(high: random.next(), low: random.next())
    directory = TemporaryDirectory()
    self.cluster = cluster
    stores = (0..<storeCount).map { _ in StoreID(high: random.next(), low: random.next()) }
    keys = KeyRing(cluster: cluster, random: random.bytes)
    self.scheme = scheme
  }

  private init(copying other: InstallationPlan) throws {
    directory = TemporaryDirectory()
    cluster = other.cluster
    stores = other.stores
    keys = other.keys
    scheme = other.scheme
    for name in try FileManager.default.contentsOfDirectory(atPath: other.directory.path) {
      try FileManager.default.copyItem(
        atPath: other.directory.path + "/" + name, toPath: directory.path + "/" + name)
    }
  }

  /// The same, in a directory of its own. The installation must be closed.
  func copy() throws -> InstallationPlan { try InstallationPlan(copying: self) }

  func path(ofStore index: Int) -> String { directory.path + "/store-\(index)" }
}

/// An open installation: real SQLite, real stores in a temporary directory, no syncs.
///
/// Call `close` at the end of a test, so that threads and files go.
final class Installation: Sendable {
  /// Threads live as long as the process, so that all installations share them.
  static let pool = ThreadPool(name: "test-io", threadCount: 6)
  static let metadataPool = ThreadPool(name: "test-sql", threadCount: 3)

  let plan: InstallationPlan
  let clock: ManualClock
  let metadata: SQLiteMetadata
  /// The stores by their places; nil for one that did not open.
  let hooks: [HookedStore?]
  let engine: ObjectEngine
  let random: SeededRandom

  var store: SQLMetadataStore { metadata.store }

  /// Opens an installation, and makes it if it is new. Stores that do not open are unavailable.
  static func open(
    _ plan: InstallationPlan, clock: ManualClock = ManualClock(), seed: UInt64 = 1
  ) async throws -> Installation {
    var options = SQLiteOptions()
    options.synchronous = .off
    let random = SeededRandom(seed: seed)
    let metadata = try await SQLiteMetadata.open(
      path: plan.directory.path + "/metadata.sqlite", clock: clock, random: random,
      pool: metadataPool, options: options)
    var hooks: [HookedStore?] = []
    var all: [any ChunkStore] = []
    for (index, id) in plan.stores.enumerated() {
      do {
        let store = HookedStore(try openStore(plan, index))
        hooks.append(store)
        all.append(store)
      } catch {
        hooks.append(nil)
        all.append(UnavailableChunkStore(id: id, reason: "\(error)"))
      }
    }
    let lease = try await metadata.store.beginWriter(minimum: 0, ringVersion: 1)
    return Installation(plan, clock, metadata, hooks, all, lease.epoch, random)
  }

  private init(
    _ plan: InstallationPlan, _ clock: ManualClock, _ metadata: SQLiteMetadata,
    _ hooks: [HookedStore?], _ all: [any ChunkStore], _ epoch: UInt64, _ random: SeededRandom
  ) {
    self.plan = plan
    self.clock = clock
    self.metadata = metadata
    self.hooks = hooks
    self.random = random
    engine = Self.engine(plan, clock, metadata, all, epoch, random)
  }

  private static func engine(
    _ plan: InstallationPlan, _ clock: ManualClock, _ metadata: SQLiteMetadata,
    _ all: [any ChunkStore], _ epoch: UInt64, _ random: SeededRandom
  ) -> ObjectEngine {
    let nodes = plan.stores.enumerated().map { PlacementNode(id: $1, server: "store-\($0)") }
    return ObjectEngine(
      configuration: EngineConfiguration(scheme: plan.scheme), metadata: metadata.store,
      stores: StoreSet(
        stores: all, ring: PlacementRing(nodes: nodes, width: plan.scheme.total)),
      keys: plan.keys, buffers: BufferPool(limit: 64 << 20, cacheLimit: 16 << 20), pool: pool,
      writer: WriterIdentity(epoch: epoch, random: random), clusterID: plan.cluster, clock: clock,
      random: random, log: .none)
  }

  /// An engine over the same metadata and stores but those of `hidden`, which are out of reach.
  func engine(hiding hidden: Set<Int>) -> ObjectEngine {
    let all: [any ChunkStore] = engine.stores.all.enumerated().map { index, store in
      hidden.contains(index) ? UnavailableChunkStore(id: store.id, reason: "hidden") : store
    }
    return Self.engine(plan, clock, metadata, all, engine.writer.epoch, random)
  }

  private static func openStore(_ plan: InstallationPlan, _ index: Int) throws -> LocalChunkStore {
    let files = SystemFileSystem(unsafeSkipsSyncs: true)
    let path = plan.path(ofStore: index)
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = 0
    let mark = plan.directory.path + "/made-\(index)"
    if !FileManager.default.fileExists(atPath: mark) {
      try LocalChunkStore.create(
        directory: path, fileSystem: files, cluster: plan.cluster, store: plan.stores[index])
      try #require(FileManager.default.createFile(atPath: mark, contents: nil))
    }
    return try LocalChunkStore.open(
      directory: path, fileSystem: files, cluster: plan.cluster, store: plan.stores[index],
      options: options)
  }

  func close() async {
    for store in hooks {
      await withTaskExecutorPreference(Self.pool) { await store?.close() }
    }
    await metadata.close()
  }

  // MARK: Objects

  static let owner = UserID(1)

  func makeBucket(_ name: String = "bucket", purpose: Bucket.Purpose = .s3) async throws -> Bucket {
    try await store.createBucket(name: name, tenant: 1, owner: Self.owner, purpose: purpose)
  }

  func request(_ key: String, in bucket: Bucket) -> PutRequest {
    PutRequest(
      bucket: bucket, key: Array(key.utf8),
      attributes: ObjectAttributes(headers: [.init(name: "content-type", value: "text/plain")]),
      owner: Self.owner)
  }

  @discardableResult
  func put(
    _ key: String, _ content: [UInt8], in bucket: Bucket, allowsInline: Bool = true
  ) async throws -> PutResult {
    var request = request(key, in: bucket)
    request.allowsInline = allowsInline
    return try await engine.put(request, from: ArraySource(content))
  }

  /// An object of parts of any size: what Complete does, without its rule for the smallest part.
  func putParts(_ key: String, _ contents: [[UInt8]], in bucket: Bucket) async throws {
    let upload = try await engine.createUpload(
      bucket: bucket, key: Array(key.utf8), attributes: ObjectAttributes(),
      storageClass: "STANDARD", owner: Self.owner, algorithm: nil, type: nil)
    var parts: [UploadedPart] = []
    for (index, content) in contents.enumerated() {
      parts.append(
        try await engine.putPart(
          index + 1, of: upload, bucket: bucket, from: ArraySource(content),
          algorithms: [.crc64nvme]))
    }
    _ = try await store.complete(
      UploadCompletion(
        upload: upload.id, bucket: bucket.id, key: Array(key.utf8), parts: parts,
        version: engine.writer.nextOpaqueID(), etag: "parts-\(parts.count)", checksum: nil,
        condition: .none))
  }

  func lookUp(_ key: String, in bucket: Bucket) async throws -> ObjectVersion? {
    try await store.lookUp(
      bucket: bucket.name, tenant: bucket.tenant, key: Array(key.utf8), versionID: nil,
      withContent: true
    ).version
  }

  /// The extents of the current version of a key.
  func extents(of key: String, in bucket: Bucket) async throws -> [Extent] {
    guard let version = try await lookUp(key, in: bucket), version.size > 0 else { return [] }
    return try await store.extents(of: version.number, in: 0..<version.size).map(\.extent)
  }

  /// The bytes of an object, or of a range of it; nil when there is none.
  func read(
    _ key: String, in bucket: Bucket, _ range: Range<Int>? = nil, by engine: ObjectEngine? = nil
  ) async throws -> [UInt8]? {
    let engine = engine ?? self.engine
    guard let version = try await lookUp(key, in: bucket) else { return nil }
    let range = range ?? 0..<Int(version.size)
    if version.extentCount == 0 { return Array(try engine.inlineContent(version)[range]) }
    if range.isEmpty { return [] }
    let read = try await engine.read(
      version, Int64(range.lowerBound)..<Int64(range.upperBound))
    var result = [UInt8](repeating: 0, count: range.count)
    var filled = 0
    // By memory, since loops over bytes take long in a debug build.
    try await read.stream { buffer, piece in
      result.withUnsafeMutableBytes { target in
        buffer.withBytes(piece) { source in
          UnsafeMutableRawBufferPointer(rebasing: target[filled...]).copyMemory(from: source)
        }
      }
      filled += piece.count
    }
    return result
  }

  // MARK: Chunks

  /// Every chunk in every store, by the store's place.
  func chunks() async throws -> [Int: Set<ChunkID>] {
    var result: [Int: Set<ChunkID>] = [:]
    for (index, hook) in hooks.enumerated() {
      guard let store = try hook?.local() else { continue }
      let found = try await withTaskExecutorPreference(Self.pool) {
        var chunks: Set<ChunkID> = []
        var position: ChunkListPosition?
        repeat {
          let page = try await store.list(from: position, limit: 7)
          chunks.formUnion(page.chunks)
          position = page.next
        } while position != nil
        return chunks
      }
      result[index] = found
    }
    return result
  }

  /// Before every call of every store from now on.
  func interceptAll(_ body: HookedStore.Hook?) {
    for store in hooks { store?.intercept(body) }
  }

  /// The place of the store that holds a chunk of an extent.
  func place(_ extent: Extent, _ chunk: Int) -> Int? {
    plan.stores.firstIndex(of: extent.stores[chunk])
  }

  /// Runs `body` where it may block.
  func onPool<R: Sendable>(_ body: @Sendable () async throws -> R) async rethrows -> R {
    try await withTaskExecutorPreference(Self.pool) { try await body() }
  }
}
