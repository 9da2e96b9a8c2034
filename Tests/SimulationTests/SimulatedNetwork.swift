import Base
import ChunkStore
import Runtime
import Synchronization
import TestSupport

/// The storage servers as one gateway reaches them. Confined to the thread of the simulation.
final class SimulatedNetwork: StorageServerConnecting, @unchecked Sendable {
  private unowned let world: SimulationWorld
  private let process: SimulatedProcess
  /// By server.
  private let faults: [LinkFaults]

  init(_ world: SimulationWorld, process: SimulatedProcess, faults: [LinkFaults]) {
    self.world = world
    self.process = process
    self.faults = faults
  }

  func connect(to address: String, server id: ServerID) -> any StorageServerConnection {
    let place = world.servers.firstIndex { $0.address == address } ?? 0
    return SimulatedConnection(
      address: address, server: world.servers[place], from: process, faults: faults[place],
      world: world)
  }
}

/// A gateway's connection to one storage server.
final class SimulatedConnection: StorageServerConnection {
  let address: String
  private let link: SimulatedLink

  init(
    address: String, server: SimulatedServer, from process: SimulatedProcess,
    faults: LinkFaults, world: SimulationWorld
  ) {
    self.address = address
    link = SimulatedLink(to: server, from: process, faults: faults, world: world)
  }

  func health() async throws(ChunkStoreError) -> StorageServerHealth {
    let server = link.server
    return try await link.call { life throws(ChunkStoreError) in
      StorageServerHealth(
        server: server.serverID, cluster: server.cluster, version: "1",
        stores: [(server.id, await life.store.health())])
    }
  }

  func store(_ id: StoreID) -> any ChunkStore { SimulationMutation.repeating(link) }

  func close() async { link.close() }
}

/// The time since some moment, which jumps of the time of day do not touch.
struct SimulatedMonotonicClock: MonotonicClock {
  let scheduler: SimulatedScheduler

  var now: Duration { .seconds(3600) + .nanoseconds(scheduler.nanoseconds) }
}

/// The same time, for what waits: breakers, retries and hedges.
struct SimulatedPauseClock: PauseClock {
  let scheduler: SimulatedScheduler

  var now: Duration { SimulatedMonotonicClock(scheduler: scheduler).now }

  func pause(_ duration: Duration) async throws {
    guard duration > .zero else { return try Task.checkCancellation() }
    try await SimulatedClock(scheduler).sleep(for: duration)
  }
}
