import Base
import ChunkStore
import Cluster
import Disk
import Metadata
import Runtime
import Synchronization

/// A storage server without a network: real stores in a directory, and a switch.
final class FakeServer: Sendable {
  let id: ServerID
  let cluster: ClusterID
  let address: String
  let zone: String
  let stores: [ServerStore]
  let isUp = Mutex(true)
  /// Whether it takes questions and never answers.
  let isHung = Mutex(false)
  /// Who it says that it is.
  let claim: Mutex<ServerID>
  /// The stamps of the looks at its health.
  let stamps = Mutex<[CallStamp?]>([])

  init(id: ServerID, cluster: ClusterID, address: String, zone: String, stores: [ServerStore]) {
    self.id = id
    self.cluster = cluster
    self.address = address
    self.zone = zone
    self.stores = stores
    claim = Mutex(id)
    for store in stores { store.server.withLock { $0 = self } }
  }

  func stop() { isUp.withLock { $0 = false } }
  func start() { isUp.withLock { $0 = true } }

  func check() throws(ChunkStoreError) {
    guard isUp.withLock({ $0 }) else { throw .offline("stopped") }
  }

  func registration(weight: Int = 100) -> StorageServerRegistration {
    StorageServerRegistration(
      id: id, address: address, zone: zone, version: "1",
      stores: stores.map { (id: $0.id, weight: weight) })
  }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    try check()
    stamps.withLock { $0.append(ChunkCallPolicy.stamping?.stamp) }
    if isHung.withLock({ $0 }) {
      for await _ in AsyncStream<Void>.makeStream().stream {}
      throw .offline("given up")
    }
    var answers: [(id: StoreID, health: StoreHealth)] = []
    for store in stores { answers.append((store.id, await store.health())) }
    return StorageServerHealth(
      server: claim.withLock { $0 }, cluster: cluster, version: "1", stores: answers)
  }

  /// All chunks that it holds, by store.
  func chunks() async throws -> Set<ChunkID> {
    var result: Set<ChunkID> = []
    for store in stores {
      var position: ChunkListPosition?
      repeat {
        let page = try await store.inner.list(from: position, limit: 100)
        result.formUnion(page.chunks)
        position = page.next
      } while position != nil
    }
    return result
  }
}

/// One of its stores.
final class ServerStore: ChunkStore, EpochSweeping {
  let id: StoreID
  let inner: LocalChunkStore
  let server = Mutex<FakeServer?>(nil)
  /// Before each delete.
  let onDelete = Mutex<(@Sendable ([ChunkID]) throws(ChunkStoreError) -> Void)?>(nil)
  let isBroken = Mutex(false)
  /// Before each small chunk is written.
  let onPut = Mutex<(@Sendable () async -> Void)?>(nil)
  /// Whether it fails to tell what it holds.
  let failsLists = Mutex(false)
  /// Calls that came while its server was stopped.
  let vain = Mutex(0)
  /// Chunks that were opened for reading.
  let opened = Mutex(0)

  init(_ inner: LocalChunkStore) {
    id = inner.id
    self.inner = inner
  }

  private func local() throws(ChunkStoreError) -> LocalChunkStore {
    do throws(ChunkStoreError) {
      try server.withLock { $0 }?.check()
    } catch {
      vain.withLock { $0 += 1 }
      throw error
    }
    guard !isBroken.withLock({ $0 }) else { throw .offline("broken") }
    return inner
  }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    let body = onPut.withLock { $0 }
    await body?()
    try await local().putSmall(header, data: data, range: range, trailer: trailer, space: space)
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await local().beginChunk(header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    let reader = try await local().openChunk(id)
    opened.withLock { $0 += 1 }
    return reader
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) {
    let store = try local()
    let body = onDelete.withLock { $0 }
    try body?(ids)
    try await store.delete(ids)
  }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await local().stat(id)
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { try await local().verify(id) }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    guard !failsLists.withLock({ $0 }) else { throw .io("no list") }
    return try await local().list(from: position, limit: limit)
  }

  func sweepUnfinished(limit: Int) async throws(ChunkStoreError) -> Int {
    try await local().sweepUnfinished(limit: limit)
  }

  func health() async -> StoreHealth {
    let isUp = server.withLock { $0 }?.isUp.withLock { $0 } ?? true
    guard isUp, let store = try? local() else {
      return StoreHealth(
        state: .offline, reason: "stopped", capacity: 0, used: 0, free: 0, reserve: 0,
        chunkCount: 0)
    }
    return await store.health()
  }
}

/// Where the servers listen.
final class FakeNetwork: StorageServerConnecting {
  private let servers = Mutex<[String: FakeServer]>([:])
  /// Whether calls go through circuit breakers and are repeated, as those over a network.
  let isGuarded = Mutex(false)
  /// Connections that were made and not closed.
  let open = Mutex(0)

  func add(_ server: FakeServer) { servers.withLock { $0[server.address] = server } }

  func server(at address: String) -> FakeServer? { servers.withLock { $0[address] } }

  func connect(to address: String, server id: ServerID) -> any StorageServerConnection {
    open.withLock { $0 += 1 }
    return FakeConnection(address: address, network: self)
  }
}

final class FakeConnection: StorageServerConnection {
  let address: String
  private let network: FakeNetwork

  init(address: String, network: FakeNetwork) {
    self.address = address
    self.network = network
  }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    guard let server = network.server(at: address) else { throw .offline("nobody there") }
    return try await server.health()
  }

  func store(_ id: StoreID) -> any ChunkStore {
    guard let store = network.server(at: address)?.stores.first(where: { $0.id == id }) else {
      return UnavailableChunkStore(id: id, reason: "no such store")
    }
    guard network.isGuarded.withLock({ $0 }) else { return store }
    return GuardedChunkStore(
      store, breaker: CircuitBreaker(), retry: RetryPolicy(firstDelay: .milliseconds(1)))
  }

  func close() async { network.open.withLock { $0 -= 1 } }
}
