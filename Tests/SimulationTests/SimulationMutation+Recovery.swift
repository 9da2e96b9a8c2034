import Base
import ChunkStore
import Metadata
import Runtime

/// Bugs of the change log and of rebuilds.
extension SimulationMutation {
  /// Whether a piece of the log is acknowledged now and written later, if its gateway still lives.
  static func isEarly(_ id: ChunkID, _ world: SimulationWorld) -> Bool {
    guard world.plan.mutant == .earlyLog, case .changeLog? = SystemExtentID(id.extent) else {
      return false
    }
    return true
  }

  /// What a rebuild that is wrong does to what only chunks tell of.
  static func harmQuarantine(_ world: SimulationWorld) async {
    switch world.plan.mutant {
    case .lostQuarantine:
      for item in (try? await world.observer.quarantined(after: nil, limit: 10_000)) ?? [] {
        try? await world.observer.releaseFromQuarantine(item.id, dropping: false)
      }
    case .sweptQuarantine:
      let items = (try? await world.observer.quarantined(after: nil, limit: 10_000)) ?? []
      world.later {
        for item in items {
          for (index, id) in item.stores.enumerated() {
            guard let id, let store = world.server(id)?.life?.store else { continue }
            try? await store.delete([ChunkID(extent: item.id, index: UInt8(index))])
          }
        }
      }
    default: break
    }
  }
}
