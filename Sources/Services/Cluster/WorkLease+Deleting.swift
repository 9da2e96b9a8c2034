import ChunkStore
import Metadata

extension ChunkStore {
  /// Deletes chunks unless the lease of the work that asks for it may have been taken over.
  func deleteLed(_ chunks: [ChunkID]) async throws(ChunkStoreError) {
    do throws(MetadataError) {
      try WorkLease.checkCurrent()
    } catch {
      throw .offline("another process does this work now")
    }
    try await delete(chunks)
  }
}
