import AdminAPI
import Base
import ChunkStore
import Disk
import Runtime

/// What the Admin API tells of this process.
struct EmbeddedInstallation: InstallationDescribing {
  let started: Timestamp
  let directory: DataDirectory
  let stores: [StoreID]

  var version: String { CommandLineTool.version }

  /// The device that each store's directory is on, by number.
  func devices() async -> [StoreID: String] {
    var result: [StoreID: String] = [:]
    for (id, path) in zip(stores, directory.stores) {
      let status = try? directory.files.status(DiskPath(path, kind: "store directory"))
      if let status { result[id] = "\(status.device >> 8):\(status.device & 255)" }
    }
    return result
  }
}
