internal import CPlatform
internal import Glibc
internal import Synchronization

/// An open file of the operating system; owns its descriptor.
final class SystemFile: FileHandle {
  private let descriptor: Int32
  private let path: DiskPath
  private let syncs: Bool
  private let isDirect: Atomic<Bool>
  private let isLocked = Atomic(false)

  /// Takes over an open descriptor and closes it in the end.
  init(owning descriptor: Int32, path: DiskPath, isDirect: Bool, syncs: Bool) {
    self.descriptor = descriptor
    self.path = path
    self.syncs = syncs
    self.isDirect = Atomic(isDirect)
    // Without it a reader would pull pages into the cache that a direct write is about to change.
    if !isDirect { _ = platform_advise_random(descriptor) }
  }

  deinit {
    // A child that is being started may have a copy of the descriptor for a moment: it is not to
    // keep the lock.
    if isLocked.load(ordering: .relaxed) { platform_unlock(descriptor) }
    close(descriptor)
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(DiskError) -> Int {
    guard let base = buffer.baseAddress else { return 0 }
    DiskStatistics.reads.add(1, ordering: .relaxed)
    let count = try SystemCall.transfer(count: buffer.count) { done throws(DiskError) in
      try aligned(.read) {
        unsafe pread(descriptor, base + done, buffer.count - done, offset + done)
      }
    }
    DiskStatistics.bytesRead.add(count, ordering: .relaxed)
    return count
  }

  func write(_ runs: [UnsafeRawBufferPointer], at offset: Int) throws(DiskError) {
    let total = unsafe runs.reduce(0) { $0 + $1.count }
    DiskStatistics.writes.add(1, ordering: .relaxed)
    let count = try SystemCall.transfer(count: total) { done throws(DiskError) in
      let rest = unsafe Self.rest(of: runs, after: done)
      let starts = unsafe rest.map { $0.baseAddress }
      let counts = unsafe rest.map(\.count)
      return try aligned(.write) {
        unsafe starts.withUnsafeBufferPointer { starts in
          unsafe counts.withUnsafeBufferPointer { counts in
            unsafe platform_write(
              descriptor, starts.baseAddress, counts.baseAddress, Int32(starts.count),
              Int64(offset + done))
          }
        }
      }
    }
    guard count == total else { throw DiskError(.other, .write, path.kind) }
    DiskStatistics.bytesWritten.add(total, ordering: .relaxed)
  }

  func syncData() throws(DiskError) {
    guard syncs else { return }
    DiskStatistics.dataSyncs.add(1, ordering: .relaxed)
    // An interrupted call is repeated by `retry`: it has reported no failure to write yet.
    try SystemCall.retry(.sync, path) { fdatasync(descriptor) }
  }

  func punchHole(_ range: Range<Int>) throws(DiskError) {
    guard !range.isEmpty else { return }
    try SystemCall.retry(.punch, path) {
      platform_punch_hole(descriptor, Int64(range.lowerBound), Int64(range.count))
    }
  }

  func lock() throws(DiskError) {
    try SystemCall.retry(.lock, path) { platform_lock(descriptor) }
    isLocked.store(true, ordering: .relaxed)
  }

  func status() throws(DiskError) -> FileStatus {
    var found = stat()
    try SystemCall.retry(.status, path) { unsafe fstat(descriptor, &found) }
    return FileStatus(found)
  }

  /// Makes a transfer; when the file system finds fault with its alignment, makes it once more
  /// through the page cache, where all further ones go.
  private func aligned(
    _ operation: DiskError.Operation, _ call: () -> Int
  ) throws(DiskError) -> Int {
    do {
      return try SystemCall.retry(operation, path, call)
    } catch {
      guard error.code == .unsupported, isDirect.load(ordering: .relaxed),
        platform_set_buffered(descriptor) == 0
      else { throw error }
      isDirect.store(false, ordering: .relaxed)
      return try SystemCall.retry(operation, path, call)
    }
  }

  /// What is left of the runs when their first bytes have gone.
  private static func rest(
    of runs: [UnsafeRawBufferPointer], after done: Int
  ) -> [UnsafeRawBufferPointer] {
    guard done > 0 else { return unsafe runs }
    var result: [UnsafeRawBufferPointer] = unsafe []
    var skip = done
    for index in unsafe runs.indices {
      let run = unsafe runs[index]
      if skip >= run.count {
        skip -= run.count
      } else {
        unsafe result.append(UnsafeRawBufferPointer(rebasing: run[skip...]))
        skip = 0
      }
    }
    return unsafe result
  }
}
