/// The file operations that stores are built of. All of them may block.
///
/// What a process has written is durable only after the sync that covers it: the bytes of a file
/// after `FileHandle.syncData`, its name, its removal or its new name after `syncDirectory` of the
/// directory. All functions may be called from any thread.
public protocol FileSystem: Sendable {
  /// Opens or creates a file.
  func open(_ path: DiskPath, _ mode: FileMode) throws(DiskError) -> any FileHandle

  /// Makes one directory; throws `exists` when there is something of that name.
  func makeDirectory(_ path: DiskPath) throws(DiskError)

  /// Makes the entries of a directory durable.
  func syncDirectory(_ path: DiskPath) throws(DiskError)

  /// The entries of a directory but "." and "..", in no order.
  func list(_ path: DiskPath) throws(DiskError) -> [DirectoryEntry]

  /// Gives a file another name in the same file system, in place of a file of that name.
  func rename(_ path: DiskPath, to target: DiskPath) throws(DiskError)

  /// Removes the name of a file; open handles keep the file.
  func delete(_ path: DiskPath) throws(DiskError)

  /// What is known of a file or directory.
  func status(_ path: DiskPath) throws(DiskError) -> FileStatus

  /// The space of the file system that holds a path.
  func space(_ path: DiskPath) throws(DiskError) -> SpaceStatus
}

/// How a file is opened.
public struct FileMode: Hashable, Sendable {
  /// What the handle may do.
  public enum Access: Hashable, Sendable {
    /// Read a file that is there.
    case read
    /// Read and write a file that is there.
    case write
    /// Make a file that is not there, read and write it.
    case create
  }

  /// What the handle may do.
  public var access: Access
  /// Whether to go past the page cache where the file system can: then memory, offset and length of
  /// each transfer are multiples of 4 KiB.
  public var isDirect: Bool

  /// Makes a mode.
  public init(_ access: Access, isDirect: Bool = false) {
    self.access = access
    self.isDirect = isDirect
  }
}

/// An open file, closed when the last reference goes. All functions may block and may be called
/// from any thread.
public protocol FileHandle: AnyObject, Sendable {
  /// Fills `buffer` from `offset` on; returns less than its size only at the end of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int

  /// Writes all bytes of at most 16 runs, one behind the other, from `offset` on. After an error
  /// any part of them may have been written.
  func write(_ runs: [UnsafeRawBufferPointer], at offset: Int) throws(DiskError)

  /// Makes the file's bytes and size durable. It is never to be repeated after an error: the
  /// system may have dropped what it could not write.
  func syncData() throws(DiskError)

  /// Gives the blocks of a range back; it reads as zeros then.
  func punchHole(_ range: Range<Int>) throws(DiskError)

  /// Takes the lock that only one open handle in the system may hold; throws `locked`.
  func lock() throws(DiskError)

  /// What is known of the file.
  func status() throws(DiskError) -> FileStatus
}

/// One entry of a directory.
public struct DirectoryEntry: Hashable, Sendable {
  /// Its name; bytes that are not UTF-8 are replaced.
  public var name: String
  /// Whether it is a directory.
  public var isDirectory: Bool

  /// Makes an entry.
  public init(name: String, isDirectory: Bool) {
    self.name = name
    self.isDirectory = isDirectory
  }
}

/// What is known of a file or directory.
public struct FileStatus: Hashable, Sendable {
  /// Bytes.
  public var size: Int
  /// Names that it has; 0 for a file that was deleted while open.
  public var linkCount: Int
  /// Tells files of one system apart, together with `device`.
  public var inode: UInt64
  /// Tells file systems apart.
  public var device: UInt64
  /// Whether it is a directory.
  public var isDirectory: Bool

  /// Makes a status.
  public init(size: Int, linkCount: Int, inode: UInt64, device: UInt64, isDirectory: Bool) {
    self.size = size
    self.linkCount = linkCount
    self.inode = inode
    self.device = device
    self.isDirectory = isDirectory
  }
}

/// The space of a file system, in bytes.
public struct SpaceStatus: Hashable, Sendable {
  /// All there is.
  public var capacity: Int
  /// What an unprivileged process may still take.
  public var free: Int
  /// What is taken.
  public var used: Int
  /// Whether it is mounted for reading only.
  public var isReadOnly: Bool

  /// Makes a status.
  public init(capacity: Int, free: Int, used: Int, isReadOnly: Bool) {
    self.capacity = capacity
    self.free = free
    self.used = used
    self.isReadOnly = isReadOnly
  }
}
