import Base
import ChunkStore
import Metadata
import ObjectEngine
import Erasure
import Placement
import Runtime
import Sealing

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
      if isLeaving { try await quarantine(chunk, at: store) }
      outcome.kept = 1
    // It changed meanwhile: the next walk sees to it.
    case .owned, .dead, .garbage, .unknown: outcome.kept = 1
    }
    return outcome
  }

  private func quarantine(_ chunk: ChunkID, at store: any ChunkStore) async throws {
    let status = try await store.stat(chunk)
    let (scheme, index) = (status.header.scheme, Int(chunk.index))
    guard index < scheme.total, scheme.total <= 32 else { return }
    var places = [StoreID?](repeating: nil, count: scheme.total)
    places[index] = store.id
    var item = QuarantinedExtent(
      id: chunk.extent, kind: 0, bucket: "", key: [], version: "", partNumber: 0,
      size: Int64(clamping: status.trailer.extentLength), modified: Timestamp(milliseconds: 0),
      dataCount: scheme.data, parityCount: scheme.parity, stores: places,
      found: engine.clock.now)
    if let wrapped = try? WrappedExtentKey(status.trailer.wrappedKey),
      let descriptor = try? engine.keys.openDescriptor(
        status.trailer.descriptor, of: chunk.extent, wrappedKey: wrapped)
    {
      item.kind = descriptor.kind.rawValue
      (item.bucket, item.key) = (descriptor.bucketName, descriptor.key)
      item.version = descriptor.versionID ?? descriptor.uploadID ?? ""
      item.partNumber = descriptor.partNumber ?? 0
      (item.size, item.modified) = (Int64(descriptor.byteCount), descriptor.lastModified)
    }
    _ = try await metadata.quarantine(item)
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
