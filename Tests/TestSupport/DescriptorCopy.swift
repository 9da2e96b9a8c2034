import Glibc

/// One more descriptor of a file that this process has open, as a child has between fork and exec.
public final class DescriptorCopy: Sendable {
  private let descriptor: Int32

  /// Copies the descriptor of the file at `path`; nil when it is not open.
  public init?(of path: String) {
    var wanted = stat()
    guard stat(path, &wanted) == 0 else { return nil }
    for descriptor in Int32(0)..<4096 {
      var found = stat()
      guard fstat(descriptor, &found) == 0, found.st_ino == wanted.st_ino,
        found.st_dev == wanted.st_dev
      else { continue }
      self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
      return
    }
    return nil
  }

  deinit { close(descriptor) }
}
