import Base
import ChunkStore
import Disk
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
  private let directory: StoppedDirectory
  private let drives: [String]

  private var files: SystemFileSystem { directory.files }

  /// Rebuilds into a data directory. The stores are in `drives`, or in the data directory when
  /// there are none of these; the master key where `serve` has it unless `masterKeyFile` names it.
  init(dataDirectory: String, drives: [String], masterKeyFile: String?) {
    directory = StoppedDirectory(dataDirectory, masterKeyFile: masterKeyFile)
    self.drives = drives
  }

  /// Rebuilds; returns what it came to, and where the metadata that was there is kept.
  ///
  /// One that was interrupted changes nothing and is begun again.
  func run(
    progress: @escaping @Sendable (String) -> Void
  ) async throws -> (report: RebuildReport, kept: String?) {
    let lock = try directory.lock()
    defer { withExtendedLifetime(lock) {} }
    guard let text = try SmallFile(files: files).read(directory.masterKey) else {
      throw AdminFailure("the master key is not at \(directory.masterKey.text)")
    }
    let master = try MasterKey(text: String(decoding: text, as: UTF8.self))
    let pool = ThreadPool(name: "io", threadCount: 8)
    let (cluster, local) = try await openStores(pool, progress)
    do {
      let (report, kept) = try await directory.replaceMetadata("rebuilding") { fresh, _ in
        try await rebuild(into: fresh, cluster, local, master, pool, progress)
      }
      await close(local, pool)
      return (report, kept)
    } catch {
      await close(local, pool)
      throw error
    }
  }

  private func rebuild(
    into fresh: DiskPath, _ cluster: ClusterID, _ local: [LocalChunkStore],
    _ master: MasterKey, _ pool: ThreadPool, _ progress: @escaping @Sendable (String) -> Void
  ) async throws -> RebuildReport {
    let nodes = local.map { PlacementNode(id: $0.id, server: "\($0.id)") }
    let database = try await SQLiteMetadata.open(
      path: fresh.appending(StoppedDirectory.database, kind: "metadata").text,
      clock: directory.clock,
      pool: ThreadPool(name: "sql", threadCount: 2))
    do {
      let report = try await MetadataRebuild(
        target: database.store,
        stores: StoreSet(
          stores: local, ring: PlacementRing(nodes: nodes, width: max(1, local.count))),
        master: master, cluster: cluster, pool: pool, clock: directory.clock,
        random: SystemRandom(),
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
      let parent = directory.root.appending("stores", kind: "stores directory")
      guard try directory.exists(parent) else {
        throw AdminFailure("there are no stores: name --drives")
      }
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
}
