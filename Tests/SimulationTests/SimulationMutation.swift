import Base
import ChunkStore
import Metadata
import Runtime
import TestSupport

/// Puts the bug of a plan into the doubles of a run; nothing without one.
///
/// Confined to the thread of the simulation.
final class SimulationMutation: @unchecked Sendable {
  private let world: SimulationWorld
  private var isOver = false
  private var leak: AlignedBuffer?

  init(_ world: SimulationWorld) { self.world = world }

  func stop() { isOver = true }

  func begin() {
    switch world.plan.mutant {
    case .liedQuorum:
      for gateway in world.gateways.compactMap({ $0 }) {
        for faults in gateway.linkFaults { faults.lies = true }
      }
    case .forgottenCommits: world.database.faults.forgets = 30
    case .unfencedCommits: world.database.faults.ignoresFences = true
    case .unfencedLeader: world.database.faults.ignoresLeases = true
    case .noDeletionDelay: world.database.faults.hidesWriters = true
    case .leakedBuffer: leak = world.gateways[1]?.engine.buffers.tryAcquire(5000)
    case .keptDeleted: world.database.faults.keepsDeleted = true
    case .ignoredSyncs, .ignoredDirectorySyncs, .sweptLiveEpoch, .staleLookUps, .earlyDrain,
      .stuckBreaker, .sharedBreaker, .repeatedWrites, .earlyLog, .lostQuarantine, .sweptQuarantine,
      nil:
      break
    }
  }

  /// A chunk is about to be written: where a drain has it moved, its former copy goes first.
  static func deleteEarly(_ id: ChunkID, _ world: SimulationWorld) async {
    guard world.plan.mutant == .earlyDrain, WorkLease.current != nil,
      let extent = try? await world.extent(id.extent),
      extent.stores.indices.contains(Int(id.index))
    else { return }
    let former = extent.stores[Int(id.index)]
    guard world.leaving.contains(former) else { return }
    try? await world.server(former)?.life?.store.delete([id])
    // The copy takes its time, as a large one does.
    await world.sleep(.seconds(4))
  }

  func run() async {
    guard world.plan.mutant == .sweptLiveEpoch else { return }
    while !isOver {
      await world.sleep(.seconds(1))
      for server in world.servers {
        guard let store = server.life?.store,
          let page = try? await store.list(from: nil, limit: 1000)
        else { continue }
        let extents = Array(Set(page.chunks.map(\.extent)))
        guard let named = try? await world.observer.named(among: extents) else { continue }
        try? await store.delete(page.chunks.filter { !named.contains($0.extent) })
      }
    }
  }
}
