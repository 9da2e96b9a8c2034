import AdminAPI
import Base
import Metadata

/// What the Admin API tells of a gateway and its cluster.
struct ClusterDescription: InstallationDescribing {
  let started: Timestamp
  let metadata: any MembershipStore

  var version: String { CommandLineTool.version }

  /// The server that each store belongs to: its stores are lost together.
  func devices() async -> [StoreID: String] {
    guard let members = try? await metadata.members() else { return [:] }
    return Dictionary(
      members.stores.map { ($0.id, "server \($0.server)") }, uniquingKeysWith: { first, _ in first }
    )
  }
}
