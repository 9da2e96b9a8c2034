import Base
import ChunkRPC
import Metadata
import Runtime
import Telemetry

/// What a storage server is to its cluster: where it listens, how it is known, and that gateways
/// know of it.
struct ClusterMember: Sendable {
  let registration: StorageServerRegistration
  let security: ChunkRPCSecurity?
  let bindAddress: String
  private let directory: ServerDirectory
  private let gateways: [String]
  private let secret: String
  private let log: Log

  /// Reads what the operator said. Throws when gateways could not reach this server.
  init(
    _ configuration: Configuration, _ directory: ServerDirectory,
    _ identity: ServerDirectory.Identity, log: Log
  ) throws {
    self.directory = directory
    self.log = log
    secret = configuration["CLUSTER_SECRET"]
    security = secret.isEmpty ? nil : .sharedSecret(secret)
    let bind = configuration["GRPC_BIND_ADDRESS"]
    bindAddress = bind.isEmpty ? "127.0.0.1" : bind
    var address = configuration["ADVERTISE"]
    if address.isEmpty {
      guard bindAddress != "0.0.0.0", bindAddress != "[::]" else {
        throw StartError("ADVERTISE says where gateways reach this server: host:port")
      }
      address = "\(bindAddress):\(configuration.number("GRPC_PORT"))"
    }
    gateways = configuration["GATEWAYS"].split(separator: ",").map(String.init)
    let weight = configuration.number("WEIGHT")
    registration = StorageServerRegistration(
      id: identity.server, address: address, zone: configuration["ZONE"],
      version: CommandLineTool.version, stores: identity.stores.map { ($0.id, weight) })
  }

  func firstRegistration() async throws -> ClusterID { throw StartError("not registered") }
  func run() async {}
  func reload() {}
}
