import Base
import ChunkStore
import Cluster
import Disk
import Erasure
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Runtime
import Sealing
import Synchronization
import TestSupport

/// A SQLite database that several processes share: as PostgreSQL it fences no writer by itself, and
/// it can be out of reach.
final class SharedDriver: SQLDriver {
  let dialect = SQLDialect.postgres
  private let inner: SQLiteDriver
  let isReachable = Mutex(true)
  /// How many of the next reads fail.
  let failingReads = Mutex(0)
  /// When the database may be slow.
  enum Moment: CaseIterable {
    /// Before a transaction begins.
    case begin
    /// Between the database's telling of its time and the arrival of that.
    case time
  }
  /// What happens meanwhile.
  let delays = Mutex<[Moment: @Sendable () -> Void]>([:])
  /// Whether the next transaction, whose answer is lost, takes place.
  let unanswered = Mutex<Bool?>(nil)
  let unresolved = Mutex(0)
  /// The statements of all transactions, in order, while they are counted.
  let statements = Mutex<[String]?>(nil)

  init(_ inner: SQLiteDriver) { self.inner = inner }

  var unresolvedCount: Int { unresolved.withLock { $0 } }

  private func check() throws {
    guard isReachable.withLock({ $0 }) else { throw MetadataError.unavailable("cut off") }
  }

  func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try check()
    let isFailing = failingReads.withLock { count in
      defer { count = max(0, count - 1) }
      return count > 0
    }
    if isFailing { throw MetadataError.unavailable("a read that is to fail") }
    @Sendable nonisolated(nonsending) func counted(_ session: any SQLSession) async throws -> T {
      try await body(CountingSession(session, self))
    }
    return try await inner.read(counted)
  }

  func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try check()
    delays.withLock { $0[.begin] }?()
    @Sendable nonisolated(nonsending) func counted(_ session: any SQLSession) async throws -> T {
      try await body(CountingSession(session, self))
    }
    if let takesPlace = unanswered.withLock({ $0.take() }) {
      unresolved.withLock { $0 += 1 }
      if takesPlace { _ = try await inner.write(cost: cost, counted) }
      throw MetadataError.unknownOutcome
    }
    return try await inner.write(cost: cost, counted)
  }

  func backup(to path: String) async throws { try await inner.backup(to: path) }

  /// The statements that `body` makes.
  func counting(_ body: () async throws -> Void) async throws -> [String] {
    statements.withLock { $0 = [] }
    try await body()
    return statements.withLock { $0.take() } ?? []
  }
}

/// How stores and rows differ.
struct Differences: Hashable {
  var missing: Int
  var strays: Int
}

/// Storage servers, a database, and gateways, in one process. Call `close` at the end.
final class TestCluster: Sendable {
  static let pool = ThreadPool(name: "test-cluster", threadCount: 4)
  static let metadataPool = ThreadPool(name: "test-cluster-sql", threadCount: 2)

  let time = TestTime()
  let network = FakeNetwork()
  let directory = TemporaryDirectory()
  let metadata: SQLiteMetadata
  let random: SeededRandom
  let id: ClusterID
  let keys: KeyRing
  let scheme: ErasureScheme
  private let made = Mutex<[FakeServer]>([])

  var servers: [FakeServer] { made.withLock { $0 } }

  init(
    seed: UInt64, servers: Int, storesEach: Int = 1, scheme: ErasureScheme = .standard
  ) async throws {
    let random = SeededRandom(seed: seed)
    self.random = random
    self.scheme = scheme
    id = ClusterID(high: random.next(), low: random.next())
    keys = KeyRing(cluster: id, random: random.bytes)
    var options = SQLiteOptions()
    options.synchronous = .off
    metadata = try await SQLiteMetadata.open(
      path: directory.path + "/metadata.sqlite", clock: time.wall, random: random,
      pool: Self.metadataPool, options: options)
    for _ in 0..<servers { try await join(try makeServer(stores: storesEach)) }
  }

  /// A server that has not registered yet.
  func makeServer(stores count: Int = 1, zone: String = "") throws -> FakeServer {
    let number = made.withLock { $0.count } + 1
    let files = SystemFileSystem(unsafeSkipsSyncs: true)
    var options = LocalChunkStoreOptions()
    options.reserveFraction = 0
    options.reserveBytes = 0
    let stores = try (0..<count).map { place in
      let store = StoreID(high: random.next(), low: random.next())
      let path = directory.path + "/server-\(number)-\(place)"
      try LocalChunkStore.create(directory: path, fileSystem: files, cluster: id, store: store)
      return ServerStore(
        try LocalChunkStore.open(
          directory: path, fileSystem: files, cluster: id, store: store, options: options))
    }
    let server = FakeServer(
      id: ServerID(high: random.next(), low: random.next()), cluster: id,
      address: "server-\(number):50051", zone: zone, stores: stores)
    made.withLock { $0.append(server) }
    network.add(server)
    return server
  }

  func join(_ server: FakeServer, weight: Int = 100) async throws {
    try await metadata.store.register(server.registration(weight: weight))
  }

  /// The server of that store.
  func server(of store: StoreID) -> FakeServer? {
    servers.first { $0.stores.contains { $0.id == store } }
  }

  func gateway(
    _ change: (inout BackgroundConfiguration) -> Void = { _ in }
  ) async throws -> TestGateway {
    var configuration = BackgroundConfiguration()
    configuration.scrubPeriod = nil
    change(&configuration)
    return try await TestGateway(self, configuration)
  }

  func close() async {
    for server in servers {
      for store in server.stores {
        await withTaskExecutorPreference(Self.pool) { await store.inner.shutdown() }
      }
    }
    await metadata.close()
  }

  /// All extents in the metadata.
  func extents() async throws -> [Extent] {
    try await metadata.store.extents(after: nil, limit: 100_000)
  }

  /// Chunks of each store that the rows name, missing ones left out.
  func named() async throws -> [StoreID: Int] {
    var result: [StoreID: Int] = [:]
    for extent in try await extents() {
      for store in extent.stores { result[store, default: 0] += 1 }
    }
    return result
  }

  /// Every chunk that a row names and its store does not have, and every one that lies where no row
  /// names it.
  func differences() async throws -> Differences {
    var wanted: Set<String> = []
    for extent in try await extents() {
      for (index, store) in extent.stores.enumerated() {
        wanted.insert("\(store) \(extent.id)-\(index)")
      }
    }
    var found: Set<String> = []
    for server in servers {
      for store in server.stores {
        var position: ChunkListPosition?
        repeat {
          let page = try await store.inner.list(from: position, limit: 1000)
          for chunk in page.chunks { found.insert("\(store.id) \(chunk)") }
          position = page.next
        } while position != nil
      }
    }
    return Differences(
      missing: wanted.subtracting(found).count, strays: found.subtracting(wanted).count)
  }

  /// Whether every store holds just what the rows say.
  func isTidy() async throws -> Bool {
    try await differences() == Differences(missing: 0, strays: 0)
  }
}

extension TestCluster {
  /// Extents of which a store holds more than one chunk.
  func underSpread() async throws -> Int {
    try await extents().count { Set($0.stores).count < $0.stores.count }
  }
}
