import Base
import Disk
import Glibc
import Runtime

/// The data directory of a server that is stopped, whose metadata are replaced as a whole.
struct StoppedDirectory {
  /// The database's name within the metadata.
  static let database = "s3storage.db"
  private static let kind: DiskPath.Kind = "metadata"

  let files = SystemFileSystem()
  let clock = SystemWallClock()
  let root: DiskPath
  let masterKey: DiskPath

  /// The master key is in `masterKeyFile`, or where `serve` puts it when that is nil.
  init(_ path: String, masterKeyFile: String?) {
    root = DiskPath(path, kind: "data directory")
    masterKey = DiskPath(masterKeyFile ?? root.text + "/keys/master.key", kind: "master key")
  }

  /// Keeps servers out for as long as the handle lives.
  func lock() throws -> any FileHandle {
    guard try exists(root) else { throw AdminFailure("there is no data directory \(root.text)") }
    do {
      return try SmallFile(files: files).lock(root.appending("lock", kind: "lock file"))
    } catch is StartError {
      throw AdminFailure("a server uses the data directory: stop it first")
    }
  }

  /// Whether there is anything at `path`.
  func exists(_ path: DiskPath) throws -> Bool {
    do throws(DiskError) {
      _ = try files.status(path)
      return true
    } catch {
      if error.code == .notFound { return false }
      throw error
    }
  }

  /// Has `body` make metadata in an empty directory, beside the `current` ones, which they then
  /// replace; tells where those are kept, nil when there were none.
  ///
  /// A crash leaves the old metadata, or none (then the work is to be repeated), and never a
  /// mixture: the log of one database must not lie beside another.
  func replaceMetadata<R>(
    _ work: String, _ body: (_ fresh: DiskPath, _ current: DiskPath) async throws -> R
  ) async throws -> (result: R, kept: String?) {
    let current = root.appending("metadata", kind: Self.kind)
    let fresh = root.appending("metadata.\(work)", kind: Self.kind)
    try removeAll(fresh)
    try files.makeDirectory(fresh)
    let result = try await body(fresh, current)
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
    return (result, kept?.text)
  }

  /// Deletes the files that interrupted work has left, and their directory.
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
