import Base
import Crypto
import Disk
import Runtime
import Trust

/// What a storage server keeps of its membership, in `cluster` below its data directory: files for
/// their owner alone, each written whole. Its functions may block.
struct ClusterDirectory: Sendable {
  private static let kind: DiskPath.Kind = "cluster file"

  let files: any FileSystem
  let root: DiskPath

  init(dataDirectory: String, files: any FileSystem = SystemFileSystem()) {
    self.files = files
    root = DiskPath(dataDirectory, kind: "data directory").appending(
      "cluster", kind: "cluster directory")
  }

  var authorities: DiskPath { path("ca.pem") }
  var certificate: DiskPath { path("certificate.pem") }
  var key: DiskPath { path("key.pem") }
  /// The key of a join that is not finished.
  var nextKey: DiskPath { path("key.next.pem") }

  /// Makes the directory, and those above it, unless they are there.
  func make() throws {
    try SmallFile(files: files).makeDirectories(root)
  }

  func read(_ path: DiskPath) throws -> String? {
    try SmallFile(files: files).read(path).map { String(decoding: $0, as: UTF8.self) }
  }

  func write(_ text: String, to path: DiskPath) throws {
    try SmallFile(files: files).write(Array(text.utf8), to: path, in: root)
  }

  /// The cluster that this directory belongs to; nil before it joined or registered.
  func clusterID() throws -> ClusterID? {
    guard let text = try read(path("cluster.id")) else { return nil }
    guard let id = ClusterID(hex: Self.line(text)) else {
      throw StartError("the file cluster/cluster.id of the data directory is damaged")
    }
    return id
  }

  /// Records the cluster. Throws when the directory belongs to another one.
  func setClusterID(_ id: ClusterID) throws {
    if let known = try clusterID() {
      guard known == id else {
        throw StartError("the data directory belongs to another cluster: \(known)")
      }
      return
    }
    try write("\(id)\n", to: path("cluster.id"))
  }

  /// The id of this storage server, made at first use and kept for the life of the directory.
  func serverID(random: any RandomSource) throws -> ServerID {
    if let text = try read(path("server.id")) {
      guard let id = ServerID(hex: Self.line(text)) else {
        throw StartError("the file cluster/server.id of the data directory is damaged")
      }
      return id
    }
    try make()
    let id = ServerID(high: random.next(), low: random.next())
    try write("\(id)\n", to: path("server.id"))
    return id
  }

  /// The certificate, its key and the trusted authorities; nil before a join. Finishes a join that
  /// was interrupted between its certificate and its key.
  func identity() throws -> TransportIdentity? {
    guard let ca = try read(authorities), let chain = try read(certificate) else { return nil }
    for (path, isNext) in [(key, false), (nextKey, true)] {
      guard let pem = try read(path) else { continue }
      let identity = TransportIdentity(caPEM: ca, certificatePEM: chain, privateKeyPEM: pem)
      guard (try? OpenIdentity(identity)) != nil else { continue }
      if isNext { try promoteKey() }
      return identity
    }
    throw StartError("the certificate and the key in cluster do not belong together: join anew")
  }

  /// Puts the key of a finished join in place of the one before, if it is another.
  func promoteKey() throws {
    guard try read(nextKey) != nil else { return }
    try files.rename(nextKey, to: key)
    try files.syncDirectory(root)
  }

  func path(_ name: String) -> DiskPath { root.appending(name, kind: Self.kind) }

  private static func line(_ text: String) -> String {
    text.last?.isNewline == true ? String(text.dropLast()) : text
  }
}
