import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement

/// Chunks that no row of an extent names and that are worth keeping all the same.
extension StoreComparison {
  /// Sees to a chunk that is not to stay: one in quarantine lies in another store, or moves to one;
  /// one of a snapshot that was given up moves, for whoever reads it looks in all stores.
  ///
  /// No good copy is deleted unless another one is durable and good.
  func settle(_ chunk: ChunkID, at store: any ChunkStore) async throws -> Outcome {
    let isLeaving = engine.stores.ring.node(store.id)?.state == .draining
    var outcome = Outcome()
    switch try await metadata.standings(of: [chunk.extent])[chunk.extent] ?? .unknown {
    case .quarantined:
      if try await copies.repairer.settle(chunk, at: store, isLeaving: isLeaving, metadata) {
        try await copies.add([MovedChunk(chunk: chunk, formerStore: store.id)])
        outcome.strays = 1
      } else {
        outcome.kept = 1
      }
    case .abandoned:
      if isLeaving, try await isSpare(chunk, at: store) {
        try await store.deleteLed([chunk])
        outcome.moved = 1
      } else {
        outcome.kept = 1
      }
    case .orphaned:
      // As a reconciliation does; the next walk moves it.
      if isLeaving, let item = await engine.quarantineRecord(of: chunk, at: store) {
        _ = try await metadata.quarantine(item)
      }
      outcome.kept = 1
    // It changed meanwhile: the next walk sees to it.
    case .owned, .dead, .garbage, .unknown: outcome.kept = 1
    }
    return outcome
  }

  /// Whether another store has a part of a snapshot that was given up by now, or the part is bad and
  /// of no use to anybody.
  private func isSpare(_ chunk: ChunkID, at store: any ChunkStore) async throws -> Bool {
    if try await copies.repairer.copyAway(chunk, from: store) { return true }
    do throws(ChunkStoreError) {
      try await store.verify(chunk)
      return false
    } catch {
      guard case .corrupt = error else { return false }
      return true
    }
  }
}
