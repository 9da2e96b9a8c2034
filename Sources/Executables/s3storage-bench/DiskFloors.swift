import Disk
import Runtime

/// Direct writing and reading of one file, in pieces of 1 MiB, by one thread.
enum DiskFloors {
  private static let piece = 1 << 20

  static func measure(directory: String, byteCount: Int) throws(DiskError) -> [Floor] {
    let files = SystemFileSystem()
    let path = DiskPath("\(directory)/s3storage-bench.tmp", kind: "scratch file")
    let buffer = AlignedBuffer(count: piece)
    buffer.zero(0..<piece)
    defer {
      // A scratch file that cannot be removed is seen by its name.
      try? files.delete(path)
    }
    let write = try Floor.measure("disk_write_direct", byteCount: byteCount) {
      () throws(DiskError) in
      try remove(path, files)
      let file = try files.open(path, FileMode(.create, isDirect: true))
      for offset in stride(from: 0, to: byteCount, by: piece) {
        try unsafe buffer.withBytes(0..<piece) { bytes throws(DiskError) in
          try unsafe file.write([bytes], at: offset)
        }
      }
      try file.syncData()
    }
    let read = try Floor.measure("disk_read_direct", byteCount: byteCount) { () throws(DiskError) in
      let file = try files.open(path, FileMode(.read, isDirect: true))
      for offset in stride(from: 0, to: byteCount, by: piece) {
        _ = try unsafe buffer.withMutableBytes(0..<piece) { bytes throws(DiskError) in
          try unsafe file.read(into: bytes, at: offset)
        }
      }
    }
    return [write, read]
  }

  private static func remove(_ path: DiskPath, _ files: SystemFileSystem) throws(DiskError) {
    do throws(DiskError) {
      try files.delete(path)
    } catch {
      guard error.code == .notFound else { throw error }
    }
  }
}
