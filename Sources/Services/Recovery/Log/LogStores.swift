import Base
import ChunkStore
import ObjectEngine
import Placement

/// Which stores take the log: first those that are lost neither with the metadata nor with each
/// other.
struct LogStores: Sendable {
  let stores: StoreSet
  let configuration: RecoveryConfiguration

  /// What a store is lost together with.
  func domain(of store: StoreID) -> String {
    configuration.domains[store] ?? stores.ring.node(store)?.server ?? "\(store)"
  }

  /// Whether a log brings something: a store lies elsewhere than the metadata.
  var bringSomething: Bool {
    let domains = Set(stores.all.map { domain(of: $0.id) })
    return domains.contains { $0 != configuration.metadataDomain }
      && (domains.count > 1 || configuration.metadataDomain == nil && !domains.isEmpty)
  }

  /// All stores that may take a piece, the best first. `preferred` stay in front where they are as
  /// good as others, so that a process keeps to its stores.
  func ranked(preferring preferred: [StoreID], key: ExtentID) -> [StoreID] {
    let walk = stores.ring.place(key, count: stores.all.count)
    let all = preferred + walk.filter { !preferred.contains($0) }
    let ring = stores.ring
    let leaving = Set(all.filter { ring.node($0)?.state == .draining })
    let usable = all.filter {
      stores.state(of: $0) == .active && stores[$0] != nil && !leaving.contains($0)
    }
    var domains: Set<String> = []
    var distinct: [StoreID] = []
    var again: [StoreID] = []
    var beside: [StoreID] = []
    for store in usable {
      let domain = domain(of: store)
      if domain == configuration.metadataDomain {
        beside.append(store)
      } else if domains.insert(domain).inserted {
        distinct.append(store)
      } else {
        again.append(store)
      }
    }
    // Full stores last: a log is short, and deletes must go on when the disks are full.
    let full = all.filter { stores.state(of: $0) == .full && !leaving.contains($0) }
    return distinct + again + beside + full
  }
}
