import Base
import ChunkStore
import Disk
import Glibc
import Metadata
import MetadataSQLite
import ObjectEngine
import Placement
import Recovery
import Runtime
import Sealing
import Telemetry

/// Makes the metadata of a stopped `serve` again out of its stores and its master key.
struct EmbeddedRebuild {
  private static let kind: DiskPath.Kind = "metadata"

  private let files = SystemFileSystem()
  private let clock = SystemWallClock()
  private let root: DiskPath
  private let drives: [String]
  private let masterKey: DiskPath

  /// Rebuilds into a data directory. The stores are in `drives`, or in the data directory when
  /// there are none of these; the master key where `serve` has it unless `masterKeyFile` names it.
  init(dataDirectory: String, drives: [String], masterKeyFile: String?) {
    root = DiskPath(dataDirectory, kind: "data directory")
    self.drives = drives
    masterKey = DiskPath(masterKeyFile ?? root.text + "/keys/master.key", kind: "master key")
  }

  /// Rebuilds; returns what it came to, and where the metadata that was there is kept.
  ///
  /// The database is made in a directory of its own and takes its place when it is whole, so that
  /// a rebuild that was interrupted changes nothing and is begun again.
  func run(
    progress: @escaping @Sendable (String) -> Void
  ) async throws -> (report: RebuildReport, kept: String?) {
    guard try exists(root) else { throw AdminFailure("there is no data directory \(root.text)") }
    let lock = try takeLock()
    defer { withExtendedLifetime(lock) {} }
    guard let text = try SmallFile(files: files).read(masterKey) else {
      throw AdminFailure("the master key is not at \(masterKey.text)")
    }
    let master = try MasterKey(text: String(decoding: text, as: UTF8.self))
    let pool = ThreadPool(name: "io", threadCount: 8)
    let (cluster, local) = try await openStores(pool, progress)
    let current = root.appending("metadata", kind: Self.kind)
    let fresh = root.appending("metadata.rebuilding", kind: Self.kind)
    try removeAll(fresh)
    try files.makeDirectory(fresh)
    let report: RebuildReport
    do {
      report = try await rebuild(into: fresh, cluster, local, master, pool, progress)
    } catch {
      await close(local, pool)
      throw error
    }
    await close(local, pool)
    try files.syncDirectory(fresh)
    var kept: DiskPath?
    if try exists(current) {
      let target = root.appending("metadata.before-\(clock.now.basicISO8601)", kind: Self.kind)
      guard try !exists(target) else { throw AdminFailure("\(target.text) is there already") }
      try files.rename(current, to: target)
      kept = target
    }
    try files.rename(fresh, to: current)
    try files.syncDirectory(root)
    return (report, kept?.text)
  }

  private func rebuild(
    into directory: DiskPath, _ cluster: ClusterID, _ local: [LocalChunkStore],
    _ master: MasterKey, _ pool: ThreadPool, _ progress: @escaping @Sendable (String) -> Void
  ) async throws -> RebuildReport {
    let nodes = local.map { PlacementNode(id: $0.id, server: "\($0.id)") }
    let database = try await SQLiteMetadata.open(
      path: directory.text + "/s3storage.db", clock: clock,
      pool: ThreadPool(name: "sql", threadCount: 2))
    do {
      let report = try await MetadataRebuild(
        target: database.store,
        stores: StoreSet(
          stores: local, ring: PlacementRing(nodes: nodes, width: max(1, local.count))),
        master: master, cluster: cluster, pool: pool, clock: clock, random: SystemRandom(),
        log: Log(component: "rebuild", minimum: .warning)
      ).run(progress: progress)
      await database.close()
      return report
    } catch {
      await database.close()
      throw error
    }
  }

  // MARK: Stores

  /// Opens the stores that are there; all are of one installation.
  private func openStores(
    _ pool: ThreadPool, _ progress: @Sendable (String) -> Void
  ) async throws -> (ClusterID, [LocalChunkStore]) {
    var paths = drives
    if paths.isEmpty {
      let parent = root.appending("stores", kind: "stores directory")
      guard try exists(parent) else { throw AdminFailure("there are no stores: name --drives") }
      paths = try files.list(parent).filter(\.isDirectory).map(\.name).sorted()
        .map { "\(parent.text)/\($0)" }
    }
    var cluster: ClusterID?
    var local: [LocalChunkStore] = []
    for path in paths {
      do throws(ChunkStoreError) {
        let identity = try LocalChunkStore.identity(ofDirectory: path, fileSystem: files)
        if let cluster, cluster != identity.cluster {
          throw .offline("it belongs to another installation")
        }
        cluster = identity.cluster
        let files = files
        local.append(
          try await pool.run { () throws(ChunkStoreError) in
            try LocalChunkStore.open(
              directory: path, fileSystem: files, cluster: identity.cluster,
              store: identity.store)
          })
      } catch {
        progress("\(path): \(error)")
      }
    }
    guard let cluster, !local.isEmpty else { throw AdminFailure("none of the stores can be read") }
    return (cluster, local)
  }

  private func close(_ local: [LocalChunkStore], _ pool: ThreadPool) async {
    for store in local {
      await withTaskExecutorPreference(pool) { await store.shutdown() }
    }
  }

  // MARK: Files

  private func takeLock() throws -> any FileHandle {
    let path = root.appending("lock", kind: "lock file")
    let handle: any FileHandle
    do throws(DiskError) {
      handle = try files.open(path, FileMode(.create))
    } catch {
      guard error.code == .exists else { throw error }
      handle = try files.open(path, FileMode(.write))
    }
    do throws(DiskError) {
      try handle.lock()
    } catch {
      throw AdminFailure("a server uses the data directory: stop it first")
    }
    return handle
  }

  private func exists(_ path: DiskPath) throws -> Bool {
    do throws(DiskError) {
      _ = try files.status(path)
      return true
    } catch {
      if error.code == .notFound { return false }
      throw error
    }
  }

  /// Deletes the files that an interrupted rebuild has left.
  private func removeAll(_ directory: DiskPath) throws {
    guard try exists(directory) else { return }
    for entry in try files.list(directory) where !entry.isDirectory {
      try files.delete(directory.appending(entry.name, kind: Self.kind))
    }
    guard unsafe directory.text.withCString({ unsafe Glibc.rmdir($0) }) == 0 else {
      throw AdminFailure("\(directory.text) cannot be removed")
    }
  }
}
