import Base
import ChunkStore
import Metadata
import ObjectEngine

/// Finds out what a store that was away should hold and does not.
struct MissingChunks: Sendable {
  let engine: ObjectEngine

  /// Queues those chunks of a page of extents for repair that `store` should hold and does not;
  /// returns the last extent, nil at the end.
  func queue(
    in store: any ChunkStore, after: ExtentID?, limit: Int
  ) async throws -> (last: ExtentID?, missing: Int) {
    let extents = try await engine.metadata.extents(after: after, limit: limit)
    var missing: [(extent: ExtentID, chunks: UInt32)] = []
    for extent in extents {
      var bits: UInt32 = 0
      for (index, holder) in extent.stores.enumerated() where holder == store.id && index < 32 {
        let chunk = ChunkID(extent: extent.id, index: UInt8(index))
        do throws(ChunkStoreError) {
          let status = try await store.stat(chunk)
          if status.trailer.sha256 != extent.digests[index] { bits |= 1 << UInt32(index) }
        } catch {
          switch error {
          case .missing, .corrupt, .tooLarge, .io: bits |= 1 << UInt32(index)
          case .offline, .fenced, .full: throw error
          }
        }
      }
      if bits != 0 { missing.append((extent.id, bits)) }
    }
    try await engine.metadata.queueRepairs(missing, reason: "not in the store that came back")
    return (extents.last?.id, missing.reduce(0) { $0 + $1.chunks.nonzeroBitCount })
  }
}
