import Base
import Disk
import Metadata
import Runtime
import Trust

/// What a gateway keeps in `cluster` below its data directory for the day when the database is lost:
/// where the storage servers are, and a certificate that they believe; and what shows that the
/// database was put back to an earlier state.
struct GatewayMemory: Sendable {
  /// A storage server as a gateway knew it.
  struct Server: Hashable {
    var id: ServerID
    var address: String
  }

  private let directory: ClusterDirectory
  private var members: DiskPath { directory.path("members.json") }
  private var writer: DiskPath { directory.path("writer.json") }

  init(dataDirectory: String) {
    directory = ClusterDirectory(dataDirectory: dataDirectory)
  }

  /// Keeps the certificate in force.
  func keep(_ identity: TransportIdentity) throws {
    try directory.make()
    try directory.write(identity.caPEM, to: directory.authorities)
    try directory.write(identity.privateKeyPEM, to: directory.key)
    try directory.write(identity.certificatePEM, to: directory.certificate)
  }

  /// Keeps the servers that have not left.
  func keep(_ membership: Membership) throws {
    let list = membership.servers.filter { $0.state != .left }.map { server -> JSONValue in
      ["id": .string("\(server.id)"), "address": .string(server.address)]
    }
    try directory.make()
    let value: JSONValue = ["servers": .array(list)]
    try directory.write(value.encoded + "\n", to: members)
  }

  /// Keeps what the database said of this gateway's writer.
  func keep(_ witness: WriterWitness) throws {
    try directory.make()
    let value: JSONValue = [
      "epoch": .integer(Int64(clamping: witness.epoch)),
      "lease_end_ms": .integer(witness.leaseEnd.milliseconds),
    ]
    try directory.write(value.encoded + "\n", to: writer)
  }

  /// What the database said of this gateway's writer last; nil where nothing was kept.
  func witness() throws -> WriterWitness? {
    guard let text = try directory.read(writer) else { return nil }
    guard let value = try? JSONValue(parsing: Array(text.utf8)),
      let epoch = value["epoch"]?.integer.flatMap({ UInt64(exactly: $0) }),
      epoch <= VersionNumber.maximumEpoch, let end = value["lease_end_ms"]?.integer
    else { throw StartError("the file cluster/writer.json of the data directory is damaged") }
    return WriterWitness(epoch: epoch, leaseEnd: Timestamp(milliseconds: end))
  }

  /// The certificate; nil where there is none.
  func identity() throws -> TransportIdentity? { try directory.identity() }

  /// The servers. Throws when none were kept.
  func servers() throws -> [Server] {
    guard let text = try directory.read(members),
      let list = (try? JSONValue(parsing: Array(text.utf8)))?["servers"]?.elements
    else {
      throw StartError("this data directory knows no storage servers: name them with --servers")
    }
    return list.compactMap { element in
      guard let id = element["id"]?.text.flatMap({ ServerID(hex: $0) }),
        let address = element["address"]?.text
      else { return nil }
      return Server(id: id, address: address)
    }
  }
}
