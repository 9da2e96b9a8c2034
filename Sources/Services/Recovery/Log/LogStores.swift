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
    // What leaves would have to hand it on.
    let all = (preferred + walk.filter { !preferred.contains($0) }).filter {
      stores.ring.node($0)?.state != .draining
    }
    // Full stores last: they take a log into their reserve, so that deletes go on.
    return [StoreHealth.State.active, .full].flatMap { state in
      ordered(all.filter { stores.state(of: $0) == state && stores[$0] != nil })
    }
  }

  /// One store of each domain first, and those of the metadata's own last.
  private func ordered(_ candidates: [StoreID]) -> [StoreID] {
    var domains: Set<String> = []
    var distinct: [StoreID] = []
    var again: [StoreID] = []
    var beside: [StoreID] = []
    for store in candidates {
      let domain = domain(of: store)
      if domain == configuration.metadataDomain {
        beside.append(store)
      } else if domains.insert(domain).inserted {
        distinct.append(store)
      } else {
        again.append(store)
      }
    }
    return distinct + again + beside
  }
}
