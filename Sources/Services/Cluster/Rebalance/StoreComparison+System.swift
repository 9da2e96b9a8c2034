import Base
import ChunkStore
import Metadata
import ObjectEngine
import Placement
import Runtime
import Telemetry

/// What the system keeps about itself: no row names these chunks, and a store that is being emptied
/// has to get rid of them as well.
extension StoreComparison {
  /// Has a piece of the change log, or the wrapped keys, lie in another store instead; false where
  /// the chunk is none of these, or no other store takes it now.
  ///
  /// As many stores have it as before, as far as there are enough: the first in its order that has
  /// not got it gets it. Every copy is the same, and whoever reads them looks in all stores. Parts
  /// of snapshots have rows once they are whole; others may be on their way and stay (`settle` sees
  /// to those that were given up).
  func relocate(_ chunk: ChunkID, from store: any ChunkStore) async throws -> Bool {
    switch SystemExtentID(chunk.extent) {
    case .changeLog, .keys: break
    case .snapshot, nil: return false
    }
    let stores = engine.stores
    let ring = stores.ring
    var isElsewhere = false
    var isReadable = true
    search: for id in ring.place(chunk.extent, count: ring.nodes.count) where id != store.id {
      guard let target = stores[id], stores.state(of: id) == .active else { continue }
      do throws(ChunkStoreError) {
        try await target.verify(chunk)
        isElsewhere = true
        continue
      } catch {
        guard case .missing = error, isReadable else { continue }
      }
      do throws(ChunkStoreError) {
        // One that cannot be read here is of no use here: other copies suffice, if there are any.
        isReadable = try await copy(chunk, from: store, to: target)
        guard isReadable else { continue }
        isElsewhere = true
        break search
      } catch {
        // Fewer copies than before are no way to empty a store: it is tried again.
        stores.note(error, of: id)
        log.warning(
          "what the system keeps about itself could not be moved",
          [("chunk", "\(chunk)"), ("store", "\(id)"), ("error", "\(error)")])
        return false
      }
    }
    guard isElsewhere else { return false }
    try await store.deleteLed([chunk])
    return true
  }

  /// Copies a small chunk as it is; false when it is gone, or is none.
  private func copy(
    _ chunk: ChunkID, from source: any ChunkStore, to target: any ChunkStore
  ) async throws(ChunkStoreError) -> Bool {
    guard let read = await read(chunk, from: source) else { return false }
    try await target.putSmall(
      read.status.header, data: read.data, range: 0..<read.status.trailer.dataLength,
      trailer: read.status.trailer)
    return true
  }

  /// A small chunk with its verified data; nil where the store does not give it.
  private func read(
    _ chunk: ChunkID, from store: any ChunkStore
  ) async -> (status: ChunkStatus, data: AlignedBuffer)? {
    do throws(ChunkStoreError) {
      return try await engine.readSmall(chunk, from: store)
    } catch {
      log.warning(
        "what the system keeps about itself could not be read",
        [("chunk", "\(chunk)"), ("store", "\(store.id)"), ("error", "\(error)")])
      return nil
    }
  }
}
