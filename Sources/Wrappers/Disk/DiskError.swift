internal import Glibc

/// A file operation that failed: which, on what kind of file, and why.
public struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The reasons that callers tell apart.
  public enum Code: String, Hashable, Sendable, CaseIterable {
    /// There is no such file or directory.
    case notFound = "not found"
    /// There is one already, or a directory is not empty.
    case exists = "exists already"
    /// The device or the quota is full.
    case noSpace = "no space left"
    /// The file system is mounted for reading only.
    case readOnly = "read-only file system"
    /// The process may not do that.
    case permission = "not permitted"
    /// The device failed.
    case device = "device error"
    /// The device or the mount has gone away.
    case gone = "device or mount gone"
    /// Somebody else holds the lock.
    case locked = "locked by another process"
    /// The process or the system has too many open files, or too little memory.
    case exhausted = "too many open files or too little memory"
    /// The file system does not offer the operation or its alignment.
    case unsupported = "not supported by the file system"
    /// Anything else.
    case other = "failed"
  }

  /// What was being done.
  public enum Operation: String, Hashable, Sendable {
    case open, create, read, write, sync, allocate, punch, lock, rename, list, status, space
    case delete
    case makeDirectory = "make directory"
    case syncDirectory = "sync directory"
  }

  /// Why it failed.
  public var code: Code
  /// What failed.
  public var operation: Operation
  /// On what.
  public var kind: DiskPath.Kind
  /// The system's number for the reason, 0 when there is none.
  public var number: Int32

  /// Makes an error of its parts.
  public init(_ code: Code, _ operation: Operation, _ kind: DiskPath.Kind, number: Int32 = 0) {
    self.code = code
    self.operation = operation
    self.kind = kind
    self.number = number
  }

  /// Makes an error of the number that a system call left in `errno`.
  init(errno number: Int32, _ operation: Operation, _ path: DiskPath) {
    self.init(Self.code(of: number), operation, path.kind, number: number)
  }

  /// One line that names no path.
  public var description: String {
    let detail = number == 0 ? "" : " (errno \(number))"
    return "cannot \(operation.rawValue) \(kind.name): \(code.rawValue)\(detail)"
  }

  static func code(of number: Int32) -> Code {
    switch number {
    case ENOENT, ENOTDIR: .notFound
    case EEXIST, ENOTEMPTY: .exists
    case ENOSPC, EDQUOT, EFBIG: .noSpace
    case EROFS: .readOnly
    case EACCES, EPERM: .permission
    case EIO, EREMOTEIO, EBADMSG: .device
    case ESTALE, ENODEV, ENXIO, ENOTCONN, ESHUTDOWN, ENOMEDIUM: .gone
    case EWOULDBLOCK: .locked
    case EMFILE, ENFILE, ENOMEM, ENOBUFS: .exhausted
    case EINVAL, EOPNOTSUPP, ENOSYS: .unsupported
    default: .other
    }
  }
}
