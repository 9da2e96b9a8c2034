import Base
import ChunkRPC
import ChunkStore
import Metadata
import ObjectEngine
import Placement

/// Temporary: reads the members now and then.
struct MemberPoll: Sendable {
  let metadata: any MembershipStore
  let client: ChunkRPCClient
  let stores: StoreSet
  let width: Int

  func run() async {
    var connections: [ServerID: any StorageServerConnection] = [:]
    while !Task.isCancelled {
      if let members = try? await metadata.members(), members.ringVersion > stores.ringVersion {
        for server in members.servers where connections[server.id] == nil {
          connections[server.id] = client.connect(to: server.address, server: server.id)
        }
        stores.update(
          stores: members.stores.compactMap { connections[$0.server]?.store($0.id) },
          ring: PlacementRing(
            nodes: members.stores.map { PlacementNode(id: $0.id, server: "\($0.server)") },
            width: width), ringVersion: members.ringVersion)
      }
      try? await Task.sleep(for: .seconds(1))
    }
  }
}
