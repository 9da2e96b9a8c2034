import Base
import Erasure
import Metadata
import Runtime
import Sealing
import Telemetry

extension ObjectEngine {
  /// Names, keys and places for a new extent; `id` is one that was never used, nil for the
  /// writer's next.
  func draftExtent(
    scheme: ErasureScheme, id: ExtentID? = nil
  ) throws(EngineError) -> ExtentDraft {
    let sealer = keys.sealer(for: id ?? writer.nextExtent(), random: random.bytes)
    return ExtentDraft(
      sealer: sealer, scheme: scheme, clusterID: clusterID,
      stores: try stores.place(sealer.extent, scheme: scheme))
  }

  /// Seals content that goes into metadata: an extent of one segment under its own key.
  func sealInline(_ content: [UInt8]) -> InlineData {
    let sealer = keys.sealer(for: writer.nextExtent(), random: random.bytes)
    return InlineData(
      extent: sealer.extent, wrappedKey: sealer.wrappedKey.bytes, transform: 0,
      sealed: sealer.segments.seal(content, isLast: true))
  }

  /// Opens content that was in metadata.
  func openInline(_ inline: InlineData) throws(EngineError) -> [UInt8] {
    do {
      let opener = try keys.opener(
        for: inline.extent, wrappedKey: WrappedExtentKey(inline.wrappedKey))
      return try opener.open(inline.sealed, index: 0, isLast: true)
    } catch {
      throw .corrupt
    }
  }

  /// Runs `body`, which makes the extent's chunks durable; when it fails they become tombstones at
  /// the places that `draft` names by then.
  ///
  /// Nothing names the extent yet and this writer knows it, so that deleting is safe. Where even
  /// that cannot be recorded, the sweep after the next start finds them.
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

  /// Makes tombstones of extents that a definite failure left unnamed.
  func discard(_ extents: [(id: ExtentID, stores: [StoreID])]) async {
    guard !extents.isEmpty else { return }
    do {
      try await metadata.discard(extents)
    } catch {
      log.warning(
        "unnamed chunks are left to the sweep of the next start",
        [("extents", "\(extents.count)"), ("error", "\(error)")])
    }
  }

  /// Commits what was written. A definite refusal turns its extents into tombstones; after an
  /// unknown outcome nothing is touched.
  func committing<R>(
    _ content: ObjectCommit.Content, _ commit: () async throws -> R
  ) async throws -> R {
    do {
      // Not begun where the lease may end before the commit does.
      guard writer.isLive else { throw MetadataError.fenced }
      return try await commit()
    } catch MetadataError.unknownOutcome {
      throw EngineError.metadata(.unknownOutcome)
    } catch {
      if case .extents(let extents) = content {
        await discard(extents.map { (id: $0.id, stores: $0.stores) })
      }
      throw (error as? MetadataError).map(EngineError.metadata) ?? error
    }
  }
}
