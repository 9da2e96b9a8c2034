import Base
import Disk
import Runtime

/// The directories of a storage server, who it is, and the lock that one process holds on them.
///
/// `server.json` says which server this is and which stores it has; it is written before the first
/// store is made, so that an interrupted first start goes on with the same ids.
struct ServerDirectory {
  /// What `server.json` holds.
  struct Identity: Equatable {
    var server: ServerID
    /// Nil until a gateway has told it.
    var cluster: ClusterID?
    var stores: [Store]
  }

  /// One store of the server.
  struct Store: Equatable {
    var id: StoreID
    /// Whether it was made: it is never made again.
    var isMade: Bool
  }

  private static let fileKind: DiskPath.Kind = "server description"

  let files: any FileSystem
  let root: DiskPath
  /// One directory for each store, in order.
  let stores: [String]
  private let lock: any FileHandle
  private var file: DiskPath { root.appending("server.json", kind: Self.fileKind) }

  /// Makes what is missing and takes the lock. Throws when another process has it.
  init(_ configuration: Configuration, files: any FileSystem) throws {
    self.files = files
    root = DiskPath(configuration["DATA_DIR"], kind: "data directory")
    let small = SmallFile(files: files)
    try small.makeDirectories(root)
    let drives = configuration["DRIVES"].split(separator: ",").map(String.init)
    guard Set(drives).count == drives.count else {
      throw StartError("DRIVES names a directory twice")
    }
    stores = drives.isEmpty ? [root.text + "/store"] : drives
    lock = try small.lock(root.appending("lock", kind: "lock file"))
  }

  /// Who this server is; made on first start. Directories that were added to `DRIVES` since get
  /// stores of their own.
  func identity(random: any RandomSource) throws -> Identity {
    guard var identity = try read() else {
      let identity = Identity(
        server: ServerID(high: random.next(), low: random.next()), cluster: nil,
        stores: stores.map { _ in Self.newStore(random) })
      try write(identity)
      return identity
    }
    guard stores.count >= identity.stores.count else {
      throw StartError(
        "this server has \(identity.stores.count) stores, \(stores.count) directories are given")
    }
    while identity.stores.count < stores.count {
      identity.stores.append(Self.newStore(random))
    }
    return identity
  }

  /// Gives the store in `directory` up for a new one, which the next start makes there: a disk was
  /// replaced. Returns the id of the store that is gone.
  func replaceStore(in directory: String, random: any RandomSource) throws -> StoreID {
    guard var identity = try read(), let index = stores.firstIndex(of: directory),
      index < identity.stores.count
    else { throw StartError("this server has no store in that directory") }
    let old = identity.stores[index].id
    identity.stores[index] = Self.newStore(random)
    try write(identity)
    return old
  }

  private static func newStore(_ random: any RandomSource) -> Store {
    Store(id: StoreID(high: random.next(), low: random.next()), isMade: false)
  }

  /// Writes who this server is, durably.
  func write(_ identity: Identity) throws {
    var members: [JSONValue.Member] = [
      .init("format", .integer(1)), .init("server", .string("\(identity.server)")),
    ]
    if let cluster = identity.cluster { members.append(.init("cluster", .string("\(cluster)"))) }
    let list = identity.stores.map {
      JSONValue.object([.init("id", .string("\($0.id)")), .init("made", .bool($0.isMade))])
    }
    members.append(.init("stores", .array(list)))
    let text = JSONValue.object(members).encoded + "\n"
    try SmallFile(files: files).write(Array(text.utf8), to: file, in: root)
  }

  /// What was written; nil before the first start. Throws for anything else.
  private func read() throws -> Identity? {
    guard let bytes = try SmallFile(files: files).read(file) else { return nil }
    let problem = StartError("server.json is damaged: it is not made again by itself")
    guard let value = try? JSONValue(parsing: bytes), value["format"]?.integer == 1,
      let server = value["server"]?.text.flatMap({ ServerID(hex: $0) }),
      let list = value["stores"]?.elements
    else { throw problem }
    let stores = list.compactMap { element -> Store? in
      guard let id = element["id"]?.text.flatMap({ StoreID(hex: $0) }),
        let isMade = element["made"]?.bool
      else { return nil }
      return Store(id: id, isMade: isMade)
    }
    guard stores.count == list.count, !stores.isEmpty else { throw problem }
    var cluster: ClusterID?
    if let text = value["cluster"]?.text {
      guard let id = ClusterID(hex: text) else { throw problem }
      cluster = id
    }
    return Identity(server: server, cluster: cluster, stores: stores)
  }
}
