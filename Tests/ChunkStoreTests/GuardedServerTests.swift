import Base
import ChunkStore
import Erasure
import Synchronization
import Testing

/// A server that answers or does not, as it is told; its stores are nobody's business here.
private final class MoodyServer: StorageServerConnection, StorageServerConnecting {
  let address = "server:1"
  let answers = Mutex(true)

  func connect(to address: String, server id: ServerID) -> any StorageServerConnection { self }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    guard answers.withLock({ $0 }) else { throw .offline("connection refused") }
    let store = StoreHealth(
      state: .active, reason: "", capacity: 0, used: 0, free: 0, reserve: 0, chunkCount: 0)
    return StorageServerHealth(
      server: ServerID(high: 1, low: 1), cluster: ClusterID(high: 1, low: 1), version: "",
      stores: [(StoreID(high: 1, low: 2), store)])
  }

  func store(_ id: StoreID) -> any ChunkStore {
    UnavailableChunkStore(id: id, reason: "not asked for")
  }

  func close() async {}
}

@Suite("Guarded server")
struct GuardedServerTests {
  private let server = MoodyServer()
  private let id = ServerID(high: 1, low: 1)

  private func guarded() throws -> (any StorageServerConnection, CircuitBreaker) {
    let servers = GuardedStorageServers(server)
    let connection = servers.connect(to: "server:1", server: id)
    return (connection, try #require(servers.breakers[id]))
  }

  private func state(_ connection: any StorageServerConnection) async throws -> StoreHealth.State {
    try #require(try await connection.health().stores.first).health.state
  }

  @Test("One that was out of reach counts as soon as it says how it is")
  func returns() async throws {
    let (connection, breaker) = try guarded()
    #expect(try await state(connection) == .active)
    server.answers.withLock { $0 = false }
    for _ in 0..<5 { breaker.record(.failure) }
    await #expect(throws: ChunkStoreError.self) { try await connection.health() }
    #expect(breaker.state == .open)
    server.answers.withLock { $0 = true }
    #expect(try await state(connection) == .active)
    #expect(breaker.state == .closed)
  }

  @Test("One that fails although it says how it is waits out its time")
  func waits() async throws {
    let (connection, breaker) = try guarded()
    for _ in 0..<5 { breaker.record(.failure) }
    for _ in 0..<5 { #expect(try await state(connection) == .offline) }
    #expect(breaker.state == .open)
  }
}
