import Base
import Metadata
import Telemetry

/// Chunks of writes that failed.
extension ObjectEngine {
  /// Runs `body`, which makes the extent's chunks durable; when it fails they become tombstones at
  /// the places that `draft` names by then.
  ///
  /// Nothing names the extent yet and this writer knows it, so that deleting is safe.
  func discardingOnFailure<R>(
    _ draft: @autoclosure () -> ExtentDraft, _ body: () async throws -> R
  ) async throws -> R {
    do {
      return try await body()
    } catch {
      let draft = draft()
      await discard([(id: draft.id, stores: draft.stores)])
      throw error
    }
  }

  /// Makes tombstones of extents that a definite failure left unnamed: where that cannot be recorded
  /// now, `discardRemaining` does it.
  func discard(_ extents: [(id: ExtentID, stores: [StoreID])]) async {
    guard !extents.isEmpty else { return }
    do {
      try await metadata.discard(extents)
    } catch {
      log.warning(
        "the tombstones of unnamed chunks are recorded later",
        [("extents", "\(extents.count)"), ("error", "\(error)")])
      postpone(extents)
    }
  }

  private func postpone(_ extents: [(id: ExtentID, stores: [StoreID])]) {
    let left = extents.count - unnamed.add(extents)
    guard left > 0 else { return }
    log.warning(
      "unnamed chunks are left to the sweep of the next start", [("extents", "\(left)")])
  }

  /// Commits what was written. A definite refusal turns its extents into tombstones; after an
  /// unknown outcome nothing is touched before that is known.
  func committing<R>(
    _ content: ObjectCommit.Content, _ commit: () async throws -> R
  ) async throws -> R {
    var extents: [(id: ExtentID, stores: [StoreID])] = []
    if case .extents(let written) = content {
      extents = written.map { (id: $0.id, stores: $0.stores) }
    }
    do {
      // Not begun where the lease may end before the commit does.
      guard writer.isLive else { throw MetadataError.fenced }
      return try await commit()
    } catch MetadataError.unknownOutcome {
      postpone(extents)
      throw EngineError.metadata(.unknownOutcome)
    } catch {
      await discard(extents)
      throw (error as? MetadataError).map(EngineError.metadata) ?? error
    }
  }

  /// Whether `discardRemaining` has something to do.
  public var hasUnnamedExtents: Bool { !unnamed.isEmpty }

  /// Makes tombstones of at most `limit` extents for which that could not be recorded when their
  /// writes failed, or when it was not known whether they did; returns of how many. What something
  /// does name is left alone.
  ///
  /// Called by one task at a time. Throws `MetadataError`; nothing is forgotten then.
  public func discardRemaining(limit: Int) async throws -> Int {
    // In this order: all commits of these are known to have failed, or to name them.
    let extents = unnamed.first(limit)
    guard !extents.isEmpty, metadata.unresolvedCount == 0 else { return 0 }
    try await metadata.discard(extents)
    unnamed.removeFirst(extents.count)
    return extents.count
  }
}
