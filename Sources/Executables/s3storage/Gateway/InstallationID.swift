import Base
import Metadata

/// The id that metadata and stores of one installation share.
enum InstallationID {
  /// Where the metadata keeps it.
  static let setting = "cluster_id"

  /// The id; nil before the first start. Throws for a value that is none.
  static func read(_ metadata: any MetadataStore) async throws -> ClusterID? {
    guard let bytes = try await metadata.setting(setting) else { return nil }
    guard let id = ClusterID(bytes: bytes) else {
      throw StartError("the metadata holds no valid cluster id")
    }
    return id
  }
}
