import Base
import Disk
import Metadata
import MetadataSQLite
import Runtime

/// Puts a copy of the metadata into the data directory of a stopped server.
struct MetadataRestore {
  private static let magic = Array("SQLite format 3\0".utf8)

  private let directory: StoppedDirectory

  private var files: SystemFileSystem { directory.files }

  /// Restores into a data directory; its master key is in `masterKeyFile`, or where `serve` puts it
  /// when that is nil.
  init(dataDirectory: String, masterKeyFile: String?) {
    directory = StoppedDirectory(dataDirectory, masterKeyFile: masterKeyFile)
  }

  /// Restores `backup`; returns where the metadata that was there is kept, nil when there was none.
  func run(from backup: String) async throws -> String? {
    let source = DiskPath(backup, kind: "backup")
    let size = try checkedSize(source)
    let lock = try directory.lock()
    defer { withExtendedLifetime(lock) {} }
    return try await directory.replaceMetadata("restoring") { fresh, current in
      let copy = fresh.appending(StoppedDirectory.database, kind: "metadata")
      try copyFile(source, to: copy, size: size)
      try await makeReady(
        copy.text, current: current.appending(StoppedDirectory.database, kind: "metadata"))
    }.kept
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
  private func makeReady(_ path: String, current: DiskPath) async throws {
    try await withDatabase(path) { store in
      _ = try await store.beginWriter(minimum: 0, ringVersion: 1)
      try await RestoredKeys(store: store, masterKey: directory.masterKey, files: files).fit {
        guard try directory.exists(current) else { return nil }
        return try await withDatabase(current.text) { try await RestoredKeys.Record($0) }
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
      path: path, clock: directory.clock, pool: ThreadPool(name: "sql", threadCount: 1))
    do {
      let result = try await body(database.store)
      await database.close()
      return result
    } catch {
      await database.close()
      throw error
    }
  }
}
