import Base
import ChunkStore
import Runtime

/// Bugs of what stands between a gateway and its storage servers.
extension SimulationMutation {
  /// When breakers open and close.
  static func breaker(_ plan: SimulationPlan) -> CircuitBreaker.Options {
    var options = CircuitBreaker.Options()
    if plan.mutant == .stuckBreaker { options.openDuration = .seconds(1_000_000) }
    return options
  }

  /// The guarded servers as the membership gets them.
  static func servers(
    _ guards: GuardedStorageServers, _ plan: SimulationPlan
  ) -> any StorageServerConnecting {
    plan.mutant == .sharedBreaker ? SharedBreakerServers(guards: guards) : guards
  }

  /// What carries the calls to a store.
  static func repeating(_ link: SimulatedLink) -> any ChunkStore {
    link.world.plan.mutant == .repeatedWrites ? RepeatingStore(link: link) : link
  }
}

/// Takes all servers for one.
private struct SharedBreakerServers: StorageServerConnecting {
  let guards: GuardedStorageServers

  func connect(to address: String, server id: ServerID) -> any StorageServerConnection {
    guards.connect(to: address, server: ServerID(high: 0, low: 1))
  }
}

/// Sends a chunk again when nothing was heard of it.
private struct RepeatingStore: ChunkStore {
  let link: SimulatedLink

  var id: StoreID { link.id }

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    do throws(ChunkStoreError) {
      try await link.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    } catch {
      guard error.isTransient, !Task.isCancelled else { throw error }
      try await link.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    }
  }

  func beginChunk(_ header: ChunkHeader) async throws(ChunkStoreError) -> any ChunkWriter {
    try await link.beginChunk(header)
  }

  func openChunk(_ id: ChunkID) async throws(ChunkStoreError) -> any ChunkReader {
    try await link.openChunk(id)
  }

  func delete(_ ids: [ChunkID]) async throws(ChunkStoreError) { try await link.delete(ids) }

  func stat(_ id: ChunkID) async throws(ChunkStoreError) -> ChunkStatus {
    try await link.stat(id)
  }

  func verify(_ id: ChunkID) async throws(ChunkStoreError) { try await link.verify(id) }

  func list(
    from position: ChunkListPosition?, limit: Int
  ) async throws(ChunkStoreError) -> ChunkPage {
    try await link.list(from: position, limit: limit)
  }

  func health() async -> StoreHealth { await link.health() }
}
