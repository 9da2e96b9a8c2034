import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Telemetry

/// Compares what a store holds with what the metadata says that it should.
///
/// A chunk is deleted only with positive evidence: the row of its extent, or its tombstone, names
/// another store for it, or its writer can commit no more and nothing names it.
struct StoreComparison: Sendable {
  /// Chunks that one step looks at.
  static let pageSize = 256

  let engine: ObjectEngine
  let metadata: any ClusterMetadata
  let copies: FormerCopies
  /// What keeps it from deleting anything.
  let hold: DeletionHold
  let log: Log

  /// What a page came to.
  struct Outcome {
    /// Where the next page begins; nil at the end.
    var next: ChunkListPosition?
    /// Chunks of fenced writers that nothing names: deleted.
    var garbage = 0
    /// Chunks that belong elsewhere: deleted once no read needs them here.
    var strays = 0
    /// Chunks that hold what the system keeps about itself and lie elsewhere by now.
    var moved = 0
    /// Chunks that are not to stay and that `settle` sees to, one by one.
    var unsettled: [ChunkID] = []
    /// Chunks that stay.
    var kept = 0
  }

  /// Looks at a page of a store's chunks; what the system keeps about itself moves away from one
  /// that is being emptied. Precondition: it is not held.
  func examine(
    _ store: any ChunkStore, from position: ChunkListPosition?
  ) async throws -> Outcome {
    let page = try await store.list(from: position, limit: Self.pageSize)
    var outcome = Outcome(next: page.next)
    guard !page.chunks.isEmpty else { return outcome }
    let standings = try await metadata.standings(of: page.chunks.map(\.extent))
    let isLeaving = engine.stores.ring.node(store.id)?.state == .draining
    var garbage: [ChunkID] = []
    var strays: [MovedChunk] = []
    for chunk in page.chunks {
      switch standings[chunk.extent] ?? .unknown {
      case .owned(let stores), .dead(let stores):
        let index = Int(chunk.index)
        guard stores.indices.contains(index), stores[index] != store.id else {
          outcome.kept += 1
          continue
        }
        strays.append(MovedChunk(chunk: chunk, formerStore: store.id))
      case .garbage: garbage.append(chunk)
      case .quarantined(let places):
        let index = Int(chunk.index)
        // One that was not found before is left to a reconciliation, unless it has to go.
        let named = places.indices.contains(index) ? places[index] : nil
        if isLeaving || named != nil && named != store.id {
          outcome.unsettled.append(chunk)
        } else {
          outcome.kept += 1
        }
      case .abandoned where isLeaving, .orphaned where isLeaving:
        outcome.unsettled.append(chunk)
      case .abandoned, .orphaned: outcome.kept += 1
      case .unknown:
        if isLeaving, try await relocate(chunk, from: store) {
          outcome.moved += 1
        } else {
          outcome.kept += 1
        }
      }
    }
    if !garbage.isEmpty {
      try await store.deleteLed(garbage)
      outcome.garbage = garbage.count
    }
    try await copies.add(strays)
    outcome.strays = strays.count
    return outcome
  }

  /// As `MissingChunks.queue`.
  func queueMissing(
    in store: any ChunkStore, after: ExtentID?
  ) async throws -> (last: ExtentID?, missing: Int) {
    try await MissingChunks(engine: engine).queue(in: store, after: after, limit: Self.pageSize)
  }
}
