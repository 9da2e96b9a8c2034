import Metadata

/// What keeps unnamed chunks from being deleted.
///
/// After a database was put back to an earlier state, chunks that are newer than it look unnamed:
/// they stay until somebody has compared them with it.
public struct DeletionHold: Sendable {
  /// The setting that holds while it is there and not a single zero.
  public static let setting = "hold_sweep"

  let metadata: any MetadataStore
  /// Whether the metadata were put back to an earlier state while this process runs.
  var isTimelineOver: @Sendable () async throws -> Bool = { false }

  /// Whether nothing may be deleted for having no name.
  func isInForce() async throws -> Bool {
    if try await isTimelineOver() { return true }
    return try await metadata.setting(Self.setting) ?? [0] != [0]
  }
}
