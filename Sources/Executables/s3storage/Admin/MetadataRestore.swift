import Base
import Disk
import Glibc
import Metadata
import MetadataSQLite
import Runtime

/// Puts a copy of the metadata into the data directory of a stopped server.
struct MetadataRestore {
  private static let kind: DiskPath.Kind = "metadata"
  private static let database = "s3storage.db"
  private static let magic = Array("SQLite format 3\0".utf8)

  private let files = SystemFileSystem()
  private let clock = SystemWallClock()
  private let root: DiskPath
  private let masterKey: DiskPath

  /// Restores into a data directory; its master key is in `masterKeyFile`, or where `serve` puts it
  /// when that is nil.
  init(dataDirectory: String, masterKeyFile: String?) {
    root = DiskPath(dataDirectory, kind: "data directory")
    let path = masterKeyFile ?? root.text + "/keys/master.key"
    masterKey = DiskPath(path, kind: "master key")
  }

  /// Restores `backup`; returns where the metadata that was there is kept, nil when there was none.
  ///
  /// The copy is made ready in a directory of its own, so that a crash leaves the old metadata, or
  /// none (then the restore is to be repeated), and never a mixture: the log of one database must
  /// not lie beside another.
  func run(from backup: String) async throws -> String? {
    let source = DiskPath(backup, kind: "backup")
    let size = try checkedSize(source)
    let lock = try takeLock()
    defer { withExtendedLifetime(lock) {} }
    let current = root.appending("metadata", kind: Self.kind)
    let fresh = root.appending("metadata.restoring", kind: Self.kind)
    try removeAll(fresh)
    try files.makeDirectory(fresh)
    let copy = fresh.appending(Self.database, kind: Self.kind)
    try copyFile(source, to: copy, size: size)
    try await makeReady(copy.text, current: current.text + "/" + Self.database)
    try files.syncDirectory(fresh)
    var kept: DiskPath?
    if try exists(current) {
      let name = "metadata.before-\(clock.now.basicISO8601)"
      let target = root.appending(name, kind: Self.kind)
      guard try !exists(target) else { throw AdminFailure("\(target.text) is there already") }
      try files.rename(current, to: target)
      kept = target
    }
    try files.rename(fresh, to: current)
    try files.syncDirectory(root)
    return kept?.text
  }

  /// The size of a file that is a whole database, judged by its first page.
  private func checkedSize(_ path: DiskPath) throws -> Int {
    let handle = try files.open(path, FileMode(.read))
    let size = try handle.status().size
    var header = [UInt8](repeating: 0, count: 100)
    let count = try unsafe header.withUnsafeMutableBytes { try unsafe handle.read(into: $0, at: 0) }
    guard count == header.count, header.starts(with: Self.magic) else {
      throw AdminFailure("the file is no backup")
    }
    let short = Int(header[16]) << 8 | Int(header[17])
    let pageSize = short == 1 ? 65_536 : short
    let pages = header[28..<32].reduce(0) { $0 << 8 | Int($1) }
    guard pageSize >= 512, pages > 0, size == pageSize * pages else {
      throw AdminFailure("the backup is not whole")
    }
    return size
  }

  private func takeLock() throws -> any FileHandle {
    guard try exists(root) else { throw AdminFailure("there is no data directory \(root.text)") }
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

  private func copyFile(_ source: DiskPath, to target: DiskPath, size: Int) throws {
    let from = try files.open(source, FileMode(.read))
    let to = try files.open(target, FileMode(.create))
    let buffer = AlignedBuffer(count: 1 << 20)
    var offset = 0
    while offset < size {
      let count = try unsafe buffer.withMutableBytes(0..<min(buffer.count, size - offset)) {
        try unsafe from.read(into: $0, at: offset)
      }
      guard count > 0 else { throw AdminFailure("the backup is not whole") }
      try unsafe buffer.withBytes(0..<count) { try unsafe to.write([$0], at: offset) }
      offset += count
    }
    try to.syncData()
  }

  /// Opens the copy, which shows that it is one of this program; sees to it that the master key
  /// fits; and marks the writers of before as swept: what they wrote after the backup is named by
  /// nothing, and a sweep would delete it.
  private func makeReady(_ path: String, current: String) async throws {
    try await withDatabase(path) { store in
      _ = try await store.beginWriter(minimum: 0, ringVersion: 1)
      try await RestoredKeys(store: store, masterKey: masterKey, files: files).fit {
        guard try exists(DiskPath(current, kind: Self.kind)) else { return nil }
        return try await withDatabase(current) { try await RestoredKeys.Record($0) }
      }
      for epoch in try await store.unsweptEpochs() {
        try await store.markSwept(epoch: epoch)
      }
      // The log in the stores goes on from another state: the next start begins one of its own.
      try await store.setChangeLogID([])
      // The next start gives its writer an epoch above all that any chunk carries.
      try await store.setSetting(EmbeddedNode.restoredSetting, [1])
      try await store.endWriter()
    }
  }

  private func withDatabase<R>(
    _ path: String, _ body: (SQLMetadataStore) async throws -> R
  ) async throws -> R {
    let database = try await SQLiteMetadata.open(
      path: path, clock: clock, pool: ThreadPool(name: "sql", threadCount: 1))
    do {
      let result = try await body(database.store)
      await database.close()
      return result
    } catch {
      await database.close()
      throw error
    }
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

  /// Deletes what an interrupted restore has left: a directory of files.
  private func removeAll(_ directory: DiskPath) throws {
    guard try exists(directory) else { return }
    for entry in try files.list(directory) where !entry.isDirectory {
      try files.delete(directory.appending(entry.name, kind: Self.kind))
    }
    try removeDirectory(directory)
  }

  private func removeDirectory(_ directory: DiskPath) throws {
    guard unsafe directory.text.withCString({ unsafe Glibc.rmdir($0) }) == 0 else {
      throw AdminFailure("\(directory.text) cannot be removed")
    }
  }
}
