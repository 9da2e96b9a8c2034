import Disk
import Runtime

/// Files that are read and written whole.
struct SmallFile {
  /// The most that is read.
  static let limit = 1 << 20

  let files: any FileSystem

  /// The content of a file; nil when there is none. Throws for one above the limit.
  func read(_ path: DiskPath) throws -> [UInt8]? {
    let handle: any FileHandle
    do throws(DiskError) {
      handle = try files.open(path, FileMode(.read))
    } catch {
      if error.code == .notFound { return nil }
      throw error
    }
    let size = try handle.status().size
    guard size <= Self.limit else { throw StartError("\(path.kind.name) is too large") }
    var bytes = [UInt8](repeating: 0, count: size)
    let count = try unsafe bytes.withUnsafeMutableBytes { buffer in
      try unsafe handle.read(into: buffer, at: 0)
    }
    return Array(bytes.prefix(count))
  }

  /// Writes a file whole: after a crash there is the old content or the new.
  func write(_ bytes: [UInt8], to path: DiskPath, in directory: DiskPath) throws {
    let temporary = DiskPath(path.text + ".new", kind: path.kind)
    do throws(DiskError) {
      try files.delete(temporary)
    } catch {
      if error.code != .notFound { throw error }
    }
    let handle = try files.open(temporary, FileMode(.create))
    try unsafe bytes.withUnsafeBytes { buffer in
      try unsafe handle.write([buffer], at: 0)
    }
    try handle.syncData()
    try files.rename(temporary, to: path)
    CrashPoint.reach(.fileRenamed)
    try files.syncDirectory(directory)
  }

  /// The content of a file, durable together with its name: who wrote it may have ended before
  /// that. Nil when there is none.
  func readDurable(_ path: DiskPath, in directory: DiskPath) throws -> [UInt8]? {
    guard let bytes = try read(path) else { return nil }
    try files.open(path, FileMode(.read)).syncData()
    try files.syncDirectory(directory)
    return bytes
  }

  /// Makes a directory unless it is there, and its entry durable: who made it may have ended
  /// before that.
  func makeDirectory(_ path: DiskPath, in parent: DiskPath) throws {
    do throws(DiskError) {
      try files.makeDirectory(path)
      CrashPoint.reach(.directoryMade)
    } catch {
      guard error.code == .exists else { throw error }
    }
    try files.syncDirectory(parent)
  }

  /// Makes a directory and those above it.
  func makeDirectories(_ path: DiskPath) throws {
    var made = path.text.hasPrefix("/") ? "" : "."
    for name in path.text.split(separator: "/") {
      let parent = DiskPath(made.isEmpty ? "/" : made, kind: path.kind)
      made += "/\(name)"
      do throws(DiskError) {
        try files.makeDirectory(DiskPath(made, kind: path.kind))
        CrashPoint.reach(.directoryMade)
      } catch {
        guard error.code == .exists else { throw error }
        // What lies above may be somebody else's, who lets nobody look.
        if made.count < path.text.count { continue }
        do throws(DiskError) {
          try files.syncDirectory(parent)
        } catch {
          guard error.code == .permission else { throw error }
        }
        continue
      }
      try files.syncDirectory(parent)
    }
  }

  /// Takes the lock of a data directory, for as long as the handle lives.
  func lock(_ path: DiskPath) throws -> any FileHandle {
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
      throw StartError("another s3storage uses this data directory")
    }
    return handle
  }
}

/// Why the process does not start, said so that an operator can mend it.
struct StartError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
