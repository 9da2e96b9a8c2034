internal import CPlatform
internal import Glibc
internal import Synchronization

/// The operating system's files.
public struct SystemFileSystem: FileSystem {
  private let syncs: Bool

  /// Files with or without their syncs. Without them a power cut loses what was acknowledged.
  public init(unsafeSkipsSyncs: Bool = false) {
    syncs = !unsafeSkipsSyncs
  }

  /// Opens or creates a file; a file system that refuses direct transfers gets ordinary ones.
  public func open(_ path: DiskPath, _ mode: FileMode) throws(DiskError) -> any FileHandle {
    let access =
      switch mode.access {
      case .read: platform_access_read
      case .write: platform_access_write
      case .create: platform_access_create
      }
    let operation: DiskError.Operation = mode.access == .create ? .create : .open
    func attempt(isDirect: Bool) throws(DiskError) -> SystemFile {
      let descriptor = try SystemCall.retry(operation, path) {
        unsafe platform_open(path.text, Int32(access.rawValue), isDirect ? 1 : 0)
      }
      return SystemFile(owning: descriptor, path: path, isDirect: isDirect, syncs: syncs)
    }
    guard mode.isDirect else { return try attempt(isDirect: false) }
    do {
      return try attempt(isDirect: true)
    } catch {
      guard error.code == .unsupported else { throw error }
    }
    do {
      return try attempt(isDirect: false)
    } catch {
      // A refusal may come after the file was made.
      guard error.code == .exists, mode.access == .create else { throw error }
      return try open(path, FileMode(.write))
    }
  }

  /// Makes one directory, for this user and group.
  public func makeDirectory(_ path: DiskPath) throws(DiskError) {
    try SystemCall.retry(.makeDirectory, path) { unsafe mkdir(path.text, 0o700) }
  }

  /// Makes the entries of a directory durable.
  public func syncDirectory(_ path: DiskPath) throws(DiskError) {
    let descriptor = try SystemCall.retry(.syncDirectory, path) {
      unsafe platform_open(path.text, Int32(platform_access_directory.rawValue), 0)
    }
    defer { close(descriptor) }
    guard syncs else { return }
    DiskStatistics.directorySyncs.add(1, ordering: .relaxed)
    guard fsync(descriptor) == 0 else { throw DiskError(errno: errno, .syncDirectory, path) }
  }

  /// The entries of a directory but "." and "..".
  public func list(_ path: DiskPath) throws(DiskError) -> [DirectoryEntry] {
    guard let stream = unsafe opendir(path.text) else {
      throw DiskError(errno: errno, .list, path)
    }
    defer { unsafe closedir(stream) }
    var entries: [DirectoryEntry] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(stream) else {
        let number = errno
        guard number == 0 else { throw DiskError(errno: number, .list, path) }
        return entries
      }
      let name = unsafe String(cString: platform_entry_name(entry))
      guard name != ".", name != ".." else { continue }
      var isDirectory = unsafe platform_entry_is_directory(entry)
      if isDirectory < 0 {
        // A file system that does not say; an entry that has gone meanwhile is no directory.
        let found = try? status(DiskPath(path.text + "/" + name, kind: path.kind))
        isDirectory = found?.isDirectory == true ? 1 : 0
      }
      entries.append(DirectoryEntry(name: name, isDirectory: isDirectory == 1))
    }
  }

  /// Gives a file another name.
  public func rename(_ path: DiskPath, to target: DiskPath) throws(DiskError) {
    try SystemCall.retry(.rename, path) { unsafe Glibc.rename(path.text, target.text) }
  }

  /// Removes the name of a file.
  public func delete(_ path: DiskPath) throws(DiskError) {
    try SystemCall.retry(.delete, path) { unsafe unlink(path.text) }
  }

  /// What is known of a file or directory.
  public func status(_ path: DiskPath) throws(DiskError) -> FileStatus {
    var found = stat()
    try SystemCall.retry(.status, path) { unsafe lstat(path.text, &found) }
    return FileStatus(found)
  }

  /// The space of the file system that holds a path.
  public func space(_ path: DiskPath) throws(DiskError) -> SpaceStatus {
    var found = platform_space()
    try SystemCall.retry(.space, path) { unsafe platform_read_space(path.text, &found) }
    func bytes(_ blocks: UInt64) -> Int {
      let (product, overflow) = blocks.multipliedReportingOverflow(by: found.unit)
      return overflow ? Int.max : Int(clamping: product)
    }
    return SpaceStatus(
      capacity: bytes(found.blocks), free: bytes(min(found.available_blocks, found.blocks)),
      used: bytes(found.blocks - min(found.free_blocks, found.blocks)),
      isReadOnly: found.is_read_only != 0)
  }
}

extension FileStatus {
  init(_ found: stat) {
    self.init(
      size: Int(found.st_size), linkCount: Int(found.st_nlink), inode: UInt64(found.st_ino),
      device: UInt64(found.st_dev), isDirectory: platform_mode_is_directory(found.st_mode) == 1)
  }
}
