import Disk
import Synchronization

/// An open file of a lossy disk.
final class LossyFile: FileHandle {
  private let system: LossyFileSystem
  private let node: Int
  private let path: DiskPath
  private let isDirect: Bool

  init(system: LossyFileSystem, node: Int, path: DiskPath, isDirect: Bool) {
    self.system = system
    self.node = node
    self.path = path
    self.isDirect = isDirect
  }

  deinit {
    // Whoever held the lock is the one that had it locked through this handle.
    guard holdsLock.load(ordering: .relaxed) else { return }
    system.state.withLock { [node] in $0.nodes[node]?.isLocked = false }
  }

  private let holdsLock = Atomic(false)

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DiskError) -> Int {
    try checkAlignment(buffer.baseAddress.map { UnsafeRawPointer($0) }, buffer.count, offset, .read)
    let count = buffer.count
    let bytes = try system.perform { [node, path] state throws(DiskError) -> [UInt8] in
      try state.check(.read, path)
      let file = state.nodes[node]?.current ?? []
      let start = min(offset, file.count)
      return Array(file[start..<min(start + count, file.count)])
    }.get()
    buffer.copyBytes(from: bytes)
    return bytes.count
  }

  func write(_ runs: [UnsafeRawBufferPointer], at offset: Int) throws(DiskError) {
    for run in runs { try checkAlignment(run.baseAddress, run.count, offset, .write) }
    var bytes: [UInt8] = []
    for run in runs { bytes += Array(run) }
    try system.perform { [node, path] state throws(DiskError) in
      try state.write(bytes, to: node, at: offset, path)
    }.get()
  }

  func syncData() throws(DiskError) {
    let isIgnored = system.isIgnored(path)
    try system.perform { [node, path] state throws(DiskError) in
      try state.change(.sync, path)
      state.syncCounts[path.kind, default: 0] += 1
      if !isIgnored { state.sync(node) }
    }.get()
  }

  func punchHole(_ range: Range<Int>) throws(DiskError) {
    try system.perform { [node, path] state throws(DiskError) in
      try state.punch(range, of: node, path)
    }.get()
  }

  func lock() throws(DiskError) {
    try system.perform { [node, path] state throws(DiskError) in
      try state.check(.lock, path)
      guard state.nodes[node]?.isLocked == false else {
        throw DiskError(.locked, .lock, path.kind)
      }
      state.nodes[node]?.isLocked = true
    }.get()
    holdsLock.store(true, ordering: .relaxed)
  }

  func status() throws(DiskError) -> FileStatus {
    try system.perform { [node, path] state throws(DiskError) in
      try state.check(.status, path)
      return state.status(node)
    }.get()
  }

  private func checkAlignment(
    _ address: UnsafeRawPointer?, _ count: Int, _ offset: Int, _ operation: DiskError.Operation
  ) throws(DiskError) {
    guard isDirect else { return }
    let place = address.map { Int(bitPattern: $0) } ?? 0
    guard place % 4096 == 0, count % 4096 == 0, offset % 4096 == 0 else {
      throw DiskError(.unsupported, operation, path.kind)
    }
  }
}
