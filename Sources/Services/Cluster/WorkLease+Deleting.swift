import ChunkStore
import Metadata

extension ChunkStore {
  /// Deletes chunks unless the lease of the work that asks for it may have been taken over. Tried
  /// once: a repetition could come when another process has moved a chunk back to this store.
  func deleteLed(_ chunks: [ChunkID]) async throws(ChunkStoreError) {
    do throws(MetadataError) {
      try WorkLease.checkCurrent()
    } catch {
      throw .offline("another process does this work now")
    }
    guard WorkLease.current != nil else { return try await delete(chunks) }
    do {
      try await ChunkCallPolicy.$allowsRetries.withValue(false) { try await delete(chunks) }
    } catch let error as ChunkStoreError {
      throw error
    } catch {
      throw .io("\(error)")
    }
  }
}
