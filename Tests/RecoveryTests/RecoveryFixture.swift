import Base
import ChunkStore
import Crypto
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

@testable import Recovery

/// Stores and keys of one installation, in a directory of its own; any number of databases over
/// them. No syncs.
final class RecoveryFixture: Sendable {
  static let pool = ThreadPool(name: "test-io", threadCount: 6)
  static let sql = ThreadPool(name: "test-sql", threadCount: 3)
  static let owner = UserID(1)

  let directory = TemporaryDirectory()
  let cluster: ClusterID
  let storeIDs: [StoreID]
  let master: MasterKey
  let ring: KeyRing
  let random: SeededRandom
  let clock = ManualClock()
  let stores: [LocalChunkStore]

  init(seed: UInt64, storeCount: Int = 6) throws {
    let random = SeededRandom(seed: seed)
    self.random = random
    let cluster = ClusterID(high: random.next(), low: random.next())
    self.cluster = cluster
    master = MasterKey(random: random.bytes)
    ring = KeyRing(cluster: cluster, random: random.bytes)
    storeIDs = (0..<storeCount).map { _ in StoreID(high: random.next(), low: random.next()) }
    let files = SystemFileSystem(unsafeSkipsSyncs: true)
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = 0
    var stores: [LocalChunkStore] = []
    for (index, id) in storeIDs.enumerated() {
      let path = directory.path + "/store-\(index)"
      try LocalChunkStore.create(directory: path, fileSystem: files, cluster: cluster, store: id)
      stores.append(
        try LocalChunkStore.open(
          directory: path, fileSystem: files, cluster: cluster, store: id, options: options))
    }
    self.stores = stores
  }

  /// The stores but those that are lost.
  func storeSet(losing lost: Set<Int> = []) -> StoreSet {
    let all = stores.enumerated().map { index, store -> any ChunkStore in
      if lost.contains(index) { return UnavailableChunkStore(id: store.id, reason: "lost") }
      return store
    }
    let nodes = storeIDs.enumerated().map { PlacementNode(id: $1, server: "server-\($0)") }
    let set = StoreSet(stores: all, ring: PlacementRing(nodes: nodes, width: 6))
    for index in lost { set.observe(.offline, of: storeIDs[index]) }
    return set
  }

  func openDatabase(_ name: String) async throws -> SQLiteMetadata {
    var options = SQLiteOptions()
    options.synchronous = .off
    return try await SQLiteMetadata.open(
      path: directory.path + "/\(name).sqlite", clock: clock, random: random,
      pool: RecoveryFixture.sql, options: options)
  }

  /// Makes a database of a new installation, or opens one, and all that works with it.
  func open(
    _ name: String, stores: StoreSet? = nil, changeLog: ChangeLogMode = .on
  ) async throws -> RecoveryNode {
    let database = try await openDatabase(name)
    let store = database.store
    if try await store.encryptionKeys().isEmpty {
      try await store.setSetting("cluster_id", cluster.bytes)
      try await store.replaceEncryptionKeys(
        ring.wrapped(under: master, random: random.bytes).map {
          StoredEncryptionKey(
            number: $0.number, wrapped: $0.bytes, masterCheck: master.checkValue(cluster: cluster),
            created: clock.now)
        }, expected: [])
    }
    return try await node(
      over: store, database: database, stores: stores ?? storeSet(), changeLog: changeLog)
  }

  /// Another gateway over a database that is open.
  func node(
    over store: SQLMetadataStore, database: SQLiteMetadata, stores: StoreSet,
    changeLog: ChangeLogMode, minimumEpoch: UInt64 = 0
  ) async throws -> RecoveryNode {
    let lease = try await store.beginWriter(minimum: minimumEpoch, ringVersion: 1)
    let engine = ObjectEngine(
      configuration: EngineConfiguration(scheme: .standard), metadata: store, stores: stores,
      keys: ring, buffers: BufferPool(limit: 64 << 20, cacheLimit: 16 << 20),
      pool: RecoveryFixture.pool,
      writer: WriterIdentity(epoch: lease.epoch, random: random), clusterID: cluster,
      clock: clock, random: random, log: .none)
    var configuration = RecoveryConfiguration()
    configuration.changeLog = changeLog
    configuration.snapshotPartLength = 64 << 10
    let recovery = MetadataRecovery(
      engine: engine, metadata: store, configuration: configuration, random: random, log: .none)
    try await recovery.start()
    return RecoveryNode(
      fixture: self, database: database, store: store, engine: engine, recovery: recovery)
  }

  /// A database made out of the stores that are left.
  func rebuild(
    _ name: String, losing lost: Set<Int> = [], master: MasterKey? = nil
  ) async throws -> (database: SQLiteMetadata, report: RebuildReport) {
    let database = try await openDatabase(name)
    do {
      let report = try await MetadataRebuild(
        target: database.store, stores: storeSet(losing: lost), master: master ?? self.master,
        cluster: cluster, pool: RecoveryFixture.pool, clock: clock, random: random, log: .none
      ).run()
      return (database, report)
    } catch {
      await database.close()
      throw error
    }
  }

  /// Rebuilds, and expects every table to be as `node` has it.
  @discardableResult
  func expectRebuilt(
    _ name: String, losing lost: Set<Int> = [], as node: RecoveryNode,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws -> RebuildReport {
    let (database, report) = try await rebuild(name, losing: lost)
    let found = try await differences(node.store, database.store)
    #expect(found == [], sourceLocation: sourceLocation)
    await database.close()
    return report
  }

  /// Opens a node whose stores the test makes fail.
  func openFlaky(_ name: String) async throws -> (node: RecoveryNode, stores: [FlakyStore]) {
    let flaky = stores.map(FlakyStore.init)
    let node = try await open(name, stores: StoreSet(stores: flaky, ring: storeSet().ring))
    return (node, flaky)
  }

  func close() async {
    await withTaskExecutorPreference(RecoveryFixture.pool) {
      for store in stores { await store.shutdown() }
    }
  }
}

/// One gateway over one database.
struct RecoveryNode: Sendable {
  let fixture: RecoveryFixture
  let database: SQLiteMetadata
  let store: SQLMetadataStore
  let engine: ObjectEngine
  let recovery: MetadataRecovery

  func bucket(_ name: String) async throws -> Bucket {
    if let found = try await store.bucket(named: name, tenant: 1) { return found }
    return try await store.createBucket(
      name: name, tenant: 1, owner: RecoveryFixture.owner, purpose: .s3)
  }

  @discardableResult
  func put(
    _ key: String, _ content: [UInt8], in bucket: Bucket, condition: WriteCondition = .none
  ) async throws -> PutResult {
    var request = PutRequest(
      bucket: bucket, key: Array(key.utf8),
      attributes: ObjectAttributes(
        headers: [.init(name: "content-type", value: "text/plain")],
        metadata: [.init(name: "note", value: "of \(key)")]), owner: RecoveryFixture.owner)
    request.condition = condition
    return try await engine.put(request, from: ArraySource(content))
  }

  /// The bytes of a version; nil when there is none or it is a delete marker.
  func read(
    _ key: String, in bucket: Bucket, version: String? = nil
  ) async throws -> [UInt8]? {
    let found = try await store.lookUp(
      bucket: bucket.name, tenant: 1, key: Array(key.utf8), versionID: version, withContent: true
    ).version
    guard let found, !found.isDeleteMarker else { return nil }
    if found.extentCount == 0 { return try engine.inlineContent(found) }
    let read = try await engine.read(found, 0..<found.size)
    var result: [UInt8] = []
    try await read.stream { buffer, range in result += buffer.bytes(range) }
    return result
  }

  func close() async {
    await recovery.stop()
    await database.close()
  }
}

/// All rows of the logged tables, by table.
func tables(_ store: SQLMetadataStore) async throws -> [String: Set<[SQLValue]>] {
  let rows = Mutex<[String: Set<[SQLValue]>]>([:])
  try await store.dump(cluster: ClusterID(high: 0, low: 0), log: [], floor: 0) { item in
    guard case .rows(let number, let list) = item, let table = LoggedTable.numbered(number)
    else { return }
    rows.withLock { $0[table.name, default: []].formUnion(list) }
  }
  return rows.withLock { $0 }
}

/// What two databases differ in, in words; empty when they hold the same.
func differences(
  _ left: SQLMetadataStore, _ right: SQLMetadataStore, except: Set<String> = []
) async throws -> [String] {
  let (first, second) = (try await tables(left), try await tables(right))
  var result: [String] = []
  for name in Set(first.keys).union(second.keys).subtracting(except).sorted() {
    let (one, two) = (first[name] ?? [], second[name] ?? [])
    let (lost, gained) = (one.subtracting(two), two.subtracting(one))
    if !lost.isEmpty || !gained.isEmpty {
      result.append(
        "\(name): \(lost.count) lost, \(gained.count) more; "
          + "\(Array(lost.prefix(2))) against \(Array(gained.prefix(2)))")
    }
  }
  return result
}
