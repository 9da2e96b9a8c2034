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
}
