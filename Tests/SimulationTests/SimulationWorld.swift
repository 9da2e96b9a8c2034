import Base
import ChunkStore
import Erasure
import Metadata
import Placement
import Runtime
import Sealing
import TestSupport

/// Everything that one run shares. Confined to the thread of the simulation.
final class SimulationWorld: @unchecked Sendable {
  /// Those that are there from the beginning; one more may join.
  static let serverCount = 7
  /// In what time all stores are compared with the metadata: the day of these gateways.
  static let day: Duration = .seconds(120)
  static let scheme = ErasureScheme.standard
  static let owner = UserID(1)

  let plan: SimulationPlan
  let scheduler: SimulatedScheduler
  let clock: SimulatedClock
  let pool: ThreadPool
  let random: SeededRandom
  let database: SimulatedDatabase
  /// The metadata as it is, at once and whatever is wrong: for checks.
  let observer: SQLMetadataStore
  let cluster: ClusterID
  let keys: KeyRing
  let master: MasterKey
  private(set) var servers: [SimulatedServer] = []
  var gateways: [SimulatedGateway?] = [nil, nil]
  /// What gateways share beside the database, in half of the runs.
  private(set) var cache: SimulatedCache?
  /// Every life of a gateway.
  var lives: [SimulatedGateway] = []
  let history = SimulationHistory()
  /// What the guards of all gateways did, in the end.
  var guards = GuardCounts()
  /// Chunks that were damaged where they lie.
  var rotten: [ChunkID: Set<StoreID>] = [:]
  /// Servers that are being drained, or are away for long.
  var leaving: Set<StoreID> = []
  /// Servers that have ever registered.
  var joined: Set<ServerID> = []
  /// What the data directory of each gateway says of its last writer.
  var witnesses: [Int: WriterWitness] = [:]
  /// The loss of the database, once there was one.
  var loss: Loss?
  /// Called once, when a chunk in quarantine has got another copy.
  var onQuarantineCopy: (() -> Void)?
  /// No harm is done any more.
  var isHealed = false
  /// What must not be.
  private(set) var violations: [String] = []
  private var log: [String] = []
  private var pendingLater = 0

  init(_ plan: SimulationPlan) throws {
    self.plan = plan
    random = SeededRandom(seed: plan.seed &* 0x9e37_79b9 &+ 1)
    scheduler = SimulatedScheduler(seed: random.next())
    clock = SimulatedClock(scheduler)
    pool = ThreadPool(name: "simulation", scheduler: scheduler)
    database = try SimulatedDatabase(scheduler: scheduler, seed: random.next())
    observer = SQLMetadataStore(driver: ObservingDriver(database), random: random)
    cluster = ClusterID(high: 7, low: random.next())
    keys = KeyRing(cluster: cluster, random: random.bytes)
    master = MasterKey(random: random.bytes)
    if plan.seed / 7 % 2 == 1 { cache = SimulatedCache(self) }
    for number in 1...Self.serverCount + 1 {
      servers.append(
        try SimulatedServer(
          id: StoreID(high: 0x53, low: UInt64(number)), cluster: cluster, clock: clock,
          ignoredSyncs: plan.ignoredSyncs))
    }
  }

  // MARK: Chance

  func pick(_ count: Int) -> Int { Int(random.next() % UInt64(max(count, 1))) }

  func chance(_ perMille: Int) -> Bool { perMille > 0 && pick(1000) < perMille }

  /// How long a message is on its way.
  func delay() -> Duration {
    .microseconds(chance(20) ? 100_000 + pick(900_000) : 100 + pick(4000))
  }

  func sleep(_ duration: Duration) async { await clock.rest(duration) }

  /// Does something some seconds later, which the end of the run waits for.
  func later(_ body: @escaping @Sendable () async -> Void) {
    pendingLater += 1
    let delay = Duration.milliseconds(pick(8000))
    Task(executorPreference: pool) {
      await self.sleep(delay)
      await body()
      self.pendingLater -= 1
    }
  }

  func waitForLater() async {
    while pendingLater > 0 { await sleep(.seconds(1)) }
  }

  // MARK: Events

  func note(_ text: String) {
    let time = scheduler.nanoseconds / 1_000_000
    log.append("\(time) ms: \(text)")
    scheduler.note(text.utf8.reduce(5381) { $0 &* 33 &+ UInt64($1) })
  }

  /// A store has taken a chunk.
  func noteStored(_ id: ChunkID, at store: StoreID) {
    rotten[id]?.remove(store)
    scheduler.note(id.extent.low ^ UInt64(id.index) << 8 ^ store.low)
    trace("chunk \(id) is stored at \(store.low)")
    if let body = onQuarantineCopy, loss?.survivors.contains(where: { $0.chunk == id }) == true {
      onQuarantineCopy = nil
      // What comes of it is no work of the lease under which the chunk was stored.
      WorkLease.$current.withValue(nil) { body() }
    }
  }

  /// What happens to a chunk, for a look at one seed.
  func trace(_ text: @autoclosure () -> String) {
    if plan.isVerbose { log.append("\(scheduler.nanoseconds / 1_000_000) ms: \(text())") }
  }

  func violation(_ text: String) {
    note("VIOLATION \(text)")
    violations.append(text)
  }

  /// What happened, for a failure's message.
  func story(_ count: Int = 60) -> String { log.suffix(count).joined(separator: "\n") }

  /// A chunk that the metadata names where it lies is never deleted.
  func checkDelete(_ ids: [ChunkID], at server: SimulatedServer) async {
    for id in ids {
      scheduler.note(~id.extent.low ^ UInt64(id.index) << 8 ^ server.id.low)
      guard let extent = try? await extent(id.extent) else { continue }
      if extent.stores.indices.contains(Int(id.index)), extent.stores[Int(id.index)] == server.id {
        violation("chunk \(id) is deleted, and metadata names it")
      }
    }
    for id in ids {
      guard let places = try? await observer.quarantined(id.extent)?.stores else { continue }
      if places.indices.contains(Int(id.index)), places[Int(id.index)] == server.id {
        violation("chunk \(id) is deleted, and the quarantine names it")
      }
    }
  }

  /// A chunk that the metadata takes for stored is there, unless its store is away.
  func audit() async {
    guard let extents = try? await allExtents() else { return violation("no list of extents") }
    for extent in extents { await audit(extent) }
  }

  func audit(_ extent: Extent) async {
    for (index, id) in extent.stores.enumerated() where extent.missing & 1 << UInt32(index) == 0 {
      guard let store = server(id)?.life?.store else { continue }
      let chunk = ChunkID(extent: extent.id, index: UInt8(index))
      // A store that reads a damaged record when it opens takes it for none.
      if rotten[chunk]?.contains(id) == true { continue }
      do throws(ChunkStoreError) { _ = try await store.stat(chunk) } catch {
        if case .missing = error { violation("chunk \(chunk) of store \(id.low) is lost") }
      }
    }
  }

  /// The row of an extent as it is.
  func extent(_ id: ExtentID) async throws -> Extent? {
    guard id.low > 0 else { return nil }
    let before = ExtentID(high: id.high, low: id.low - 1)
    return try await observer.extents(after: before, limit: 1).first { $0.id == id }
  }

  func allExtents() async throws -> [Extent] {
    try await observer.extents(after: nil, limit: 10_000)
  }

  /// What a server says of itself. Light stores make light rings, which are soon made.
  static func registration(_ server: SimulatedServer) -> StorageServerRegistration {
    StorageServerRegistration(
      id: server.serverID, address: server.address, zone: "", version: "1",
      stores: [(server.id, 5)])
  }

  func server(_ id: StoreID) -> SimulatedServer? { servers.first { $0.id == id } }

  /// Whether a chunk is there, and what was written; looked at past the network.
  func isGood(_ extent: Extent, _ index: Int) async -> Bool {
    guard let store = server(extent.stores[index])?.life?.store else { return false }
    let id = ChunkID(extent: extent.id, index: UInt8(index))
    do {
      guard try await store.stat(id).trailer.sha256 == extent.digests[index] else { return false }
      try await store.verify(id)
      return true
    } catch {
      return false
    }
  }
}

/// The database past every fault.
final class ObservingDriver: SQLDriver {
  let dialect = SQLDialect.sqlite
  private let database: SimulatedDatabase

  init(_ database: SimulatedDatabase) { self.database = database }

  func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try await database.peek(body)
  }

  func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    try await database.peek(body)
  }

  func backup(to path: String) async throws {
    throw MetadataError.unavailable("no backup in a simulation")
  }
}
