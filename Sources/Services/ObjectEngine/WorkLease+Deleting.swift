public import ChunkStore
public import Metadata
import Runtime

/// Stamps the calls of work under a lease.
public struct LeaseStamping: CallStamping {
  private let lease: WorkLease

  /// Stamps under `lease`.
  public init(lease: WorkLease) { self.lease = lease }

  /// The lease's fence, and how many deletions under it may or may not have run.
  public var stamp: CallStamp {
    CallStamp(fence: UInt64(clamping: lease.fence), attempt: lease.attempt)
  }

  /// The lease's.
  public var timeLeft: Duration { lease.timeLeft }
}

extension WorkLease {
  /// Runs `body` under this lease: its transactions fail, and storage servers refuse its deletions,
  /// once another process has taken the work over.
  public func lead<R>(_ body: () async throws -> R) async rethrows -> R {
    try await WorkLease.$current.withValue(self) {
      try await ChunkCallPolicy.$stamping.withValue(LeaseStamping(lease: self)) {
        try await body()
      }
    }
  }
}

extension ChunkStore {
  /// Deletes chunks unless the lease of the work that asks for it may have been taken over. Tried
  /// once: a repetition could come when another process has moved a chunk back to this store.
  public func deleteLed(_ chunks: [ChunkID]) async throws(ChunkStoreError) {
    do throws(MetadataError) {
      try WorkLease.checkCurrent()
    } catch {
      throw .offline("another process does this work now")
    }
    guard let lease = WorkLease.current else { return try await delete(chunks) }
    do {
      try await ChunkCallPolicy.$allowsRetries.withValue(false) { try await delete(chunks) }
    } catch {
      // It may lie in the socket of a server that hangs; what follows must not be undone by it.
      lease.noteUncertainDeletion()
      throw error as? ChunkStoreError ?? .io("\(error)")
    }
  }
}
