import Base
import ChunkStore
import Disk
import Runtime

/// The directories of a storage server, which stores it has, and the lock that one process holds.
///
/// `stores.json` says which stores there are; it is written before the first is made, so that an
/// interrupted first start goes on with the same ids. Who the server is lies in `cluster`.
struct ServerDirectory {
  /// One store of the server.
  struct Store: Equatable {
    var id: StoreID
    /// Whether it was made: it is never made again.
    var isMade: Bool
    /// The store that was in its place before.
    var replaces: StoreID?
  }

  private static let fileKind: DiskPath.Kind = "store list"

  let files: any FileSystem
  let root: DiskPath
  /// Who the server is, and its certificates.
  let cluster: ClusterDirectory
  /// One directory for each store, in any order.
  let storeDirectories: [String]
  /// Nil where another process may serve this directory.
  private let lock: (any FileHandle)?
  private var file: DiskPath { root.appending("stores.json", kind: Self.fileKind) }

  /// Makes what is missing and takes the lock. Throws when another process has it, unless
  /// `isShared`: then it is not taken.
  init(_ configuration: Configuration, files: any FileSystem, isShared: Bool = false) throws {
    self.files = files
    root = DiskPath(configuration["DATA_DIR"], kind: "data directory")
    let small = SmallFile(files: files)
    try small.makeDirectories(root)
    let drives = configuration["DRIVES"].split(separator: ",").map(String.init)
    guard Set(drives).count == drives.count else {
      throw StartError("DRIVES names a directory twice")
    }
    storeDirectories = drives.isEmpty ? [root.text + "/store"] : drives
    cluster = ClusterDirectory(dataDirectory: root.text, files: files)
    lock = isShared ? nil : try small.lock(root.appending("lock", kind: "lock file"))
  }

  /// The stores in the order of their directories; listed on first start. Directories that were
  /// added to `DRIVES` since get stores of their own.
  func stores(random: any RandomSource) throws -> [Store] {
    guard var stores = try read() else {
      let stores = storeDirectories.map { _ in Self.newStore(random) }
      try write(stores)
      return stores
    }
    guard storeDirectories.count >= stores.count else {
      throw StartError(
        "this server has \(stores.count) stores, \(storeDirectories.count) directories are given")
    }
    if stores.count < storeDirectories.count {
      while stores.count < storeDirectories.count { stores.append(Self.newStore(random)) }
      try write(stores)
    }
    return stores
  }

  /// The directories of listed stores, in their order: each says itself which store it is.
  func directories(of stores: [Store]) -> [String] {
    LocalStores.arrange(storeDirectories, stores.map(\.id), files)
  }

  /// Gives the store in `directory` up for a new one, which is made there: a disk was replaced. A
  /// server that runs meanwhile takes it up by itself. Throws unless the directory is empty.
  /// Returns the ids of the store that is gone and of the new one.
  func replaceStore(
    in directory: String, random: any RandomSource
  ) throws -> (old: StoreID, new: StoreID) {
    guard let cluster = try cluster.clusterID() else {
      throw StartError("this server is not one of a cluster yet")
    }
    return try changingList { stores in
      guard let index = directories(of: stores).firstIndex(of: directory) else {
        throw StartError("this server has no store in that directory")
      }
      let old = stores[index]
      var new = Self.newStore(random)
      try LocalChunkStore.create(
        directory: directory, fileSystem: files, cluster: cluster, store: new.id)
      new.isMade = true
      // One that was never made has nothing to be made again.
      new.replaces = old.isMade ? old.id : old.replaces
      stores[index] = new
      return (old.id, new.id)
    }
  }

  /// Takes note that stores were made.
  func noteMade(_ ids: Set<StoreID>) throws {
    try changingList { stores in
      for index in stores.indices where ids.contains(stores[index].id) {
        stores[index].isMade = true
      }
    }
  }

  /// The ids of the stores that there are to be, as far as they were listed.
  func listedStores() throws -> [StoreID] { try read()?.map(\.id) ?? [] }

  /// Changes the list; one process at a time.
  private func changingList<R>(_ change: (inout [Store]) throws -> R) throws -> R {
    let small = SmallFile(files: files)
    let lock: any FileHandle
    do {
      lock = try small.lock(root.appending("stores.lock", kind: "lock file"))
    } catch is StartError {
      throw StartError("another command changes the stores of this server: try again")
    }
    return try withExtendedLifetime(lock) {
      guard var stores = try read() else { throw StartError("this server has no stores yet") }
      let result = try change(&stores)
      try write(stores)
      return result
    }
  }

  private static func newStore(_ random: any RandomSource) -> Store {
    Store(id: StoreID(high: random.next(), low: random.next()), isMade: false)
  }

  /// Writes the list, durably.
  func write(_ stores: [Store]) throws {
    let list = stores.map { store -> JSONValue in
      var members: [JSONValue.Member] = [
        .init("id", .string("\(store.id)")), .init("made", .bool(store.isMade)),
      ]
      if let old = store.replaces { members.append(.init("replaces", .string("\(old)"))) }
      return JSONValue.object(members)
    }
    let text = JSONValue.object([.init("format", .integer(1)), .init("stores", .array(list))])
    try SmallFile(files: files).write(Array((text.encoded + "\n").utf8), to: file, in: root)
  }

  /// What was written; nil before the first start. Throws for anything else.
  private func read() throws -> [Store]? {
    guard let bytes = try SmallFile(files: files).read(file) else { return nil }
    let problem = StartError("stores.json is damaged: it is not made again by itself")
    guard let value = try? JSONValue(parsing: bytes), value["format"]?.integer == 1,
      let list = value["stores"]?.elements
    else { throw problem }
    let stores = list.compactMap { element -> Store? in
      guard let id = element["id"]?.text.flatMap({ StoreID(hex: $0) }),
        let isMade = element["made"]?.bool
      else { return nil }
      return Store(
        id: id, isMade: isMade, replaces: element["replaces"]?.text.flatMap { StoreID(hex: $0) })
    }
    guard stores.count == list.count, !stores.isEmpty else { throw problem }
    return stores
  }
}
