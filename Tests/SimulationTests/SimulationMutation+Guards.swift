import Base
import ChunkStore
import Runtime
import TestSupport

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
    link.world.plan.mutant == .repeatedWrites ? RepeatingStore(inner: link) : link
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
private struct RepeatingStore: ForwardingStore {
  let inner: any ChunkStore

  func putSmall(
    _ header: ChunkHeader, data: AlignedBuffer, range: Range<Int>, trailer: ChunkTrailer,
    space: ChunkSpace
  ) async throws(ChunkStoreError) {
    do throws(ChunkStoreError) {
      try await inner.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    } catch {
      guard error.isTransient, !Task.isCancelled else { throw error }
      try await inner.putSmall(header, data: data, range: range, trailer: trailer, space: space)
    }
  }
}
