import Base
import ChunkRPC
import ChunkStore
import Disk
import GRPC
import Metadata
import MetadataPostgres
import ObjectEngine
import Placement
import Recovery
import Runtime
import Sealing
import Telemetry

/// Makes the metadata of a cluster again, in an empty database, out of its storage servers and its
/// master key. The gateways are stopped.
struct ClusterRebuild {
  let databaseURL: String
  let masterKeyFile: String
  /// The data directory of a gateway, which knows the servers and proves this process to them.
  let dataDirectory: String
  /// Servers as `ID@HOST:PORT`, in place of those that the directory knows.
  let servers: [String]
  /// The secret of a cluster on one machine; empty where there are certificates.
  let secret: String

  /// Rebuilds.
  func run(progress: @escaping @Sendable (String) -> Void) async throws -> RebuildReport {
    let files = SmallFile(files: MasterKeyFile.system)
    guard let text = try files.read(.init(masterKeyFile, kind: "master key")) else {
      throw AdminFailure("the master key is not at \(masterKeyFile)")
    }
    let master = try MasterKey(text: String(decoding: text, as: UTF8.self))
    let memory = GatewayMemory(dataDirectory: dataDirectory)
    let client = ChunkRPCClient(security: try security(memory))
    let pool = ThreadPool(name: "io", threadCount: 8)
    let (cluster, stores) = try await stores(try known(memory), client, progress)
    let log = Log(component: "rebuild", minimum: .warning)
    let database = try await PostgresMetadata.open(url: databaseURL, poolSize: 8, log: log)
    do {
      let report = try await MetadataRebuild(
        target: database.store, stores: stores, master: master, cluster: cluster, pool: pool,
        clock: SystemWallClock(), random: SystemRandom(), log: log
      ).run(progress: progress)
      await database.close()
      return report
    } catch {
      await database.close()
      throw error
    }
  }

  private func security(_ memory: GatewayMemory) throws -> ChunkRPCSecurity {
    if !secret.isEmpty { return .sharedSecret(secret) }
    guard let identity = try memory.identity() else {
      throw AdminFailure("no certificate of a gateway is in the data directory")
    }
    return .mutualTLS(TLSIdentity(TLSMaterial(identity)))
  }

  private func known(_ memory: GatewayMemory) throws -> [GatewayMemory.Server] {
    if servers.isEmpty { return try memory.servers() }
    return try servers.map { text in
      let parts = text.split(separator: "@", maxSplits: 1)
      guard parts.count == 2, let id = ServerID(hex: String(parts[0])) else {
        throw AdminUsageError("a server is named ID@HOST:PORT")
      }
      return GatewayMemory.Server(id: id, address: String(parts[1]))
    }
  }

  /// The stores of the servers that answer; all are of one cluster.
  private func stores(
    _ known: [GatewayMemory.Server], _ client: ChunkRPCClient, _ progress: (String) -> Void
  ) async throws -> (ClusterID, StoreSet) {
    var cluster: ClusterID?
    var stores: [any ChunkStore] = []
    var nodes: [PlacementNode] = []
    for server in known {
      let connection = client.connect(to: server.address, server: server.id)
      do throws(ChunkStoreError) {
        let health = try await connection.health()
        if let cluster, cluster != health.cluster {
          throw .offline("it belongs to another cluster")
        }
        cluster = health.cluster
        for store in health.stores {
          stores.append(connection.store(store.id))
          nodes.append(PlacementNode(id: store.id, server: "\(server.id)"))
        }
      } catch {
        progress("\(server.address): \(error)")
      }
    }
    guard let cluster, !stores.isEmpty else {
      throw AdminFailure("none of the storage servers answers")
    }
    let ring = PlacementRing(nodes: nodes, width: max(1, nodes.count))
    return (cluster, StoreSet(stores: stores, ring: ring))
  }
}
