import Disk
import Glibc
import Synchronization

/// Real files whose syncs take at least a millisecond, as on many disks, and are counted.
final class SlowSyncs: FileSystem {
  private let inner: any FileSystem
  private let data = Atomic(0)
  private let directories = Atomic(0)

  init(_ inner: any FileSystem) {
    self.inner = inner
  }

  var count: Int { data.load(ordering: .relaxed) }
  var directoryCount: Int { directories.load(ordering: .relaxed) }

  fileprivate func synced() {
    data.add(1, ordering: .relaxed)
    usleep(1000)
  }

  func open(_ path: DiskPath, _ mode: FileMode) throws(DiskError) -> any FileHandle {
    Handle(inner: try inner.open(path, mode), system: self)
  }

  func makeDirectory(_ path: DiskPath) throws(DiskError) { try inner.makeDirectory(path) }

  func syncDirectory(_ path: DiskPath) throws(DiskError) {
    directories.add(1, ordering: .relaxed)
    usleep(1000)
    try inner.syncDirectory(path)
  }

  func list(_ path: DiskPath) throws(DiskError) -> [DirectoryEntry] { try inner.list(path) }

  func rename(_ path: DiskPath, to target: DiskPath) throws(DiskError) {
    try inner.rename(path, to: target)
  }

  func delete(_ path: DiskPath) throws(DiskError) { try inner.delete(path) }

  func status(_ path: DiskPath) throws(DiskError) -> FileStatus { try inner.status(path) }

  func space(_ path: DiskPath) throws(DiskError) -> SpaceStatus { try inner.space(path) }

  private final class Handle: FileHandle {
    private let inner: any FileHandle
    private let system: SlowSyncs

    init(inner: any FileHandle, system: SlowSyncs) {
      self.inner = inner
      self.system = system
    }

    func read(
      into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> Int {
      try inner.read(into: buffer, at: offset)
    }

    func write(_ runs: [UnsafeRawBufferPointer], at offset: Int) throws(DiskError) {
      try inner.write(runs, at: offset)
    }

    func syncData() throws(DiskError) {
      system.synced()
      try inner.syncData()
    }

    func punchHole(_ range: Range<Int>) throws(DiskError) { try inner.punchHole(range) }

    func lock() throws(DiskError) { try inner.lock() }

    func status() throws(DiskError) -> FileStatus { try inner.status() }
  }
}
