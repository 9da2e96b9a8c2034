import Disk
import Runtime

/// Where the master key lies.
struct MasterKeyFile: Sendable {
  let path: DiskPath
  /// The directory that it is in, or is made in.
  let directory: DiskPath
  let files: any FileSystem

  /// The file at `path`.
  init(_ path: DiskPath, files: any FileSystem) {
    self.path = path
    self.files = files
    let slash = path.text.lastIndex(of: "/")
    let text = slash.map { $0 == path.text.startIndex ? "/" : String(path.text[..<$0]) } ?? "."
    directory = DiskPath(text, kind: "key directory")
  }

  /// The files of this machine.
  static var system: any FileSystem { SystemFileSystem() }

  /// The file of a rotation that is not finished.
  var next: DiskPath { DiskPath(path.text + ".next", kind: "next master key") }
}
