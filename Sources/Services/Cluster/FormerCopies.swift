import Base
import ChunkStore
import Metadata
import ObjectEngine

/// Where chunks may lie that no row says are there.
struct StrayPlaces: Sendable {
  /// Former copies.
  var known: [ChunkID: [StoreID]] = [:]
  /// The stores that were not walked along since this process does the work: they may have others.
  var unwalked: [StoreID] = []
}

/// Chunks that lie where no row says that they do, until no read can need them there.
///
/// They are kept in memory only: those of a process that ends are found again by a walk over the
/// store that they lie in. Until then what is deleted is deleted in every store that was not walked
/// along, and where they are known to lie, for nothing would tell of its former copies any more.
final class FormerCopies: Sendable {
  /// Copies that wait at most; beyond it no more chunks are moved.
  static let limit = 16_384
  /// Copies at once whose stores are asked again.
  private static let attempts = 64

  let repairer: ExtentRepairer
  private let horizon: ReadHorizon
  private let metadata: (any MembershipStore)?

  /// `metadata` tells where the chunks of deleted extents belong; nil in an installation of one
  /// process.
  init(
    repairer: ExtentRepairer, horizon: ReadHorizon, metadata: (any MembershipStore)? = nil
  ) {
    self.repairer = repairer
    self.horizon = horizon
    self.metadata = metadata
  }

  var count: Int { repairer.formerCopies.count }

  /// Takes note of copies that rows name no more by now.
  func add(_ copies: [MovedChunk]) async throws {
    guard !copies.isEmpty else { return }
    let mark = try await horizon.mark()
    repairer.formerCopies.beginTerm()
    repairer.formerCopies.add(copies, mark)
  }

  /// Takes note that a store was walked along to its end.
  func noteWalked(_ store: StoreID) {
    repairer.formerCopies.beginTerm()
    repairer.formerCopies.noteWalked(store)
  }

  /// Where chunks of these extents may lie besides where their rows say.
  func strays(of extents: Set<ExtentID>) -> StrayPlaces {
    repairer.formerCopies.beginTerm()
    let stores = repairer.engine.stores.all.map(\.id)
    return StrayPlaces(
      known: repairer.formerCopies.places(of: extents),
      unwalked: repairer.formerCopies.unwalked(of: stores))
  }

  /// Deletes those that no read needs; how many.
  @discardableResult
  func removeDue() async throws -> Int {
    let waiting = repairer.formerCopies
    waiting.beginTerm()
    var removed = try await removePostponed()
    guard waiting.count > 0 else { return removed }
    let moment = try await horizon.moment()
    while let first = waiting.first, horizon.hasPassed(first.mark, horizon: moment) {
      guard try await repairer.remove(first.copy, metadata) else { return removed }
      removed += 1
    }
    return removed
  }

  /// Tries again those whose stores did not delete them, and do by now; how many were removed. A store
  /// that fails again ends it for this time, as does an extent that is being worked on.
  private func removePostponed() async throws -> Int {
    let waiting = repairer.formerCopies
    let stores = repairer.engine.stores
    // One that left took its copies along.
    let mayEnd = { (store: StoreID) in stores[store] == nil || stores.state(of: store) != .offline }
    var removed = 0
    for copy in waiting.postponed.filter({ mayEnd($0.formerStore) }).prefix(Self.attempts) {
      guard try await repairer.remove(copy, metadata), !waiting.contains(copy) else {
        return removed
      }
      removed += 1
    }
    return removed
  }
}
