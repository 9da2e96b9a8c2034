import Glibc
import Runtime

/// A new directory on a real disk, removed with all it holds when the last reference goes.
public final class TemporaryDirectory: Sendable {
  /// Its path.
  public let path: String

  /// Makes a directory of a random name.
  public init() {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let name = String(SystemRandom().next(), radix: 16)
    path = "\(parent)/s3storage-test-\(name)"
    precondition(mkdir(path, 0o700) == 0, "no temporary directory can be made")
  }

  deinit {
    Self.remove(path)
  }

  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    if let stream = opendir(path) {
      var names: [String] = []
      while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
      }
      closedir(stream)
      for name in names { remove(path + "/" + name) }
    }
    rmdir(path)
  }
}
