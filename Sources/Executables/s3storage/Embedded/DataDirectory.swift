import Base
import Disk
import Runtime

/// The directories of an embedded installation and the lock that one process holds on them.
struct DataDirectory {
  let files: any FileSystem
  let root: DiskPath
  let keys: DiskPath
  let metadata: DiskPath
  let masterKey: DiskPath
  /// One directory for each store, in order.
  let stores: [String]
  /// Held for the life of the process.
  let lock: any FileHandle

  var database: String { metadata.text + "/s3storage.db" }

  /// Makes what is missing and takes the lock. Throws when another process has it.
  init(_ configuration: Configuration, files: any FileSystem, storeCount: Int) throws {
    self.files = files
    root = DiskPath(configuration["DATA_DIR"], kind: "data directory")
    keys = root.appending("keys", kind: "key directory")
    metadata = root.appending("metadata", kind: "metadata directory")
    let keyFile = configuration["MASTER_KEY_FILE"]
    masterKey =
      keyFile.isEmpty
      ? keys.appending("master.key", kind: "master key") : DiskPath(keyFile, kind: "master key")
    let small = SmallFile(files: files)
    try small.makeDirectories(root)
    try small.makeDirectory(keys, in: root)
    try small.makeDirectory(metadata, in: root)
    let drives = configuration["DRIVES"].split(separator: ",").map(String.init)
    if drives.isEmpty {
      let parent = root.appending("stores", kind: "stores directory")
      try small.makeDirectory(parent, in: root)
      stores = (0..<storeCount).map { "\(parent.text)/\($0)" }
    } else {
      guard Set(drives).count == drives.count else {
        throw StartError("DRIVES names a directory twice")
      }
      stores = drives
    }
    lock = try small.lock(root.appending("lock", kind: "lock file"))
  }
}
