public import Base
public import Disk
import Runtime

extension LocalChunkStore {
  /// Which store a directory is, and of which installation; it need not be open, and its lock is
  /// left alone. Throws `offline` when the directory does not say.
  public static func identity(
    ofDirectory path: String, fileSystem: any FileSystem
  ) throws(ChunkStoreError) -> (cluster: ClusterID, store: StoreID) {
    let file = DiskPath(path, kind: "store directory")
      .appending("store.json", kind: "store description")
    let limit = StoreDescription.maximumLength
    let bytes: [UInt8]
    do throws(DiskError) {
      let handle = try fileSystem.open(file, FileMode(.read))
      let length = min(try handle.status().size, limit)
      let buffer = AlignedBuffer(count: limit)
      let count = try unsafe buffer.withMutableBytes(0..<length) { target throws(DiskError) in
        try unsafe handle.read(into: target, at: 0)
      }
      bytes = buffer.bytes(0..<count)
    } catch {
      throw .offline("its description cannot be read: \(error.code)")
    }
    do throws(FormatError) {
      let description = try StoreDescription(decoding: bytes)
      return (description.cluster, description.store)
    } catch {
      throw .offline(error.message)
    }
  }
}
