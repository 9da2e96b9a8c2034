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

  /// How many stores would take a piece now.
  var takerCount: Int { stores.all.count { isInSight($0.id) } }

  /// Whether a store can be read, and takes pieces.
  func isInSight(_ store: StoreID) -> Bool {
    [.active, .full].contains(stores.state(of: store))
  }

  /// All stores that may take a piece, the best first. `preferred` stay in front where they are as
  /// good as others, so that a process keeps to its stores.
  func ranked(preferring preferred: [StoreID], key: ExtentID) -> [StoreID] {
    let walk = walk(preferring: preferred, key: key)
    // Full stores late: they take a log into their reserve, so that deletes go on. What leaves would
    // have to hand it on, and is better than a copy too few.
    return [false, true].flatMap { isLeaving in
      [StoreHealth.State.active, .full].flatMap { state in
        ordered(
          walk.filter { stores.state(of: $0) == state && isDraining($0) == isLeaving })
      }
    }
  }

  /// Stores that were not well when they were last heard of: for when the others are too few.
  func doubtful(key: ExtentID) -> [StoreID] {
    ordered(walk(preferring: [], key: key).filter { stores.state(of: $0) == .offline })
  }

  /// Takes up to `count` stores out of `candidates`: in their order, but those that share a domain
  /// with `taken` or each other after others that are as well as they are.
  func pick(_ count: Int, from candidates: inout [StoreID], beside taken: [StoreID]) -> [StoreID] {
    var domains = Set(taken.map { domain(of: $0) })
    var picked: [StoreID] = []
    while picked.count < count, let first = candidates.first {
      let rank = rank(first)
      let tier = candidates.prefix { self.rank($0) == rank }
      let place =
        tier.indices.first {
          let domain = domain(of: candidates[$0])
          return domain != configuration.metadataDomain && !domains.contains(domain)
        } ?? candidates.startIndex
      let store = candidates.remove(at: place)
      domains.insert(domain(of: store))
      picked.append(store)
    }
    return picked
  }

  /// What stores are compared by before their domains.
  private func rank(_ store: StoreID) -> Int {
    (isDraining(store) ? 2 : 0) + (stores.state(of: store) == .active ? 0 : 1)
  }

  private func isDraining(_ store: StoreID) -> Bool {
    stores.ring.node(store)?.state == .draining
  }

  private func walk(preferring preferred: [StoreID], key: ExtentID) -> [StoreID] {
    let ring = stores.ring
    // The ring leads to none that is being emptied.
    let leaving = ring.nodes.filter { $0.state == .draining }.map(\.id)
    let walk = ring.place(key, count: stores.all.count) + leaving
    return (preferred + walk.filter { !preferred.contains($0) }).filter { stores[$0] != nil }
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
