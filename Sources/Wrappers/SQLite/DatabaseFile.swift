import Glibc

/// The file of a database as one process owns it: an exclusive lock on a file beside it.
///
/// SQLite's own locks let several processes write in turn; this keeps a second one out. Ends with
/// the value or the process.
public struct DatabaseFile: ~Copyable, Sendable {
  /// Why a file cannot be owned.
  public enum Failure: Error, Hashable, Sendable {
    /// Another process, or another owner in this one, has it.
    case inUse
    /// The system refused; its error number.
    case system(Int32)
  }

  /// Where the database is.
  public let path: String
  private let lock: Int32

  /// Locks the database at `path`, which need not exist; its directory must.
  public init(path: String) throws(Failure) {
    let descriptor = unsafe open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .system(errno) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      let number = errno
      close(descriptor)
      throw number == EWOULDBLOCK ? .inUse : .system(number)
    }
    self.path = path
    lock = descriptor
  }

  deinit {
    // A child that is being started may have a copy of the descriptor for a moment: it is not to
    // keep the lock.
    flock(lock, LOCK_UN)
    close(lock)
  }

  /// Makes the entries of the directory that holds `path` durable.
  public static func syncDirectory(of path: String) throws(Failure) {
    let directory: String
    if let slash = path.lastIndex(of: "/") {
      directory = slash == path.startIndex ? "/" : String(path[..<slash])
    } else {
      directory = "."
    }
    try sync(directory, flags: O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  }

  /// Makes the content of the file at `path` durable.
  ///
  /// Not for a database that this process has open: closing any descriptor of it drops SQLite's
  /// locks (POSIX `fcntl`).
  public static func syncFile(_ path: String) throws(Failure) {
    try sync(path, flags: O_RDONLY | O_CLOEXEC)
  }

  /// Whether there is a file at `path`.
  public static func exists(_ path: String) -> Bool {
    unsafe access(path, F_OK) == 0
  }

  /// Gives a file that is durable its name, durably; there is none of that name before.
  public static func rename(_ path: String, to name: String) throws(Failure) {
    guard !exists(name) else { throw .system(EEXIST) }
    guard unsafe Glibc.rename(path, name) == 0 else { throw .system(errno) }
    try syncDirectory(of: name)
  }

  /// Removes a file if it is there.
  public static func remove(_ path: String) throws(Failure) {
    guard unsafe unlink(path) == 0 || errno == ENOENT else { throw .system(errno) }
  }

  private static func sync(_ path: String, flags: Int32) throws(Failure) {
    let descriptor = unsafe open(path, flags)
    guard descriptor >= 0 else { throw .system(errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .system(errno) }
  }
}
