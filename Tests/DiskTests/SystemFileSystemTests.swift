import Glibc
import Runtime
import TestSupport
import Testing

@testable import Disk

@Suite struct SystemFileSystemTests {
  private let directory = TemporaryDirectory()
  private let system = SystemFileSystem()

  private func path(_ name: String) -> DiskPath {
    DiskPath(directory.path + "/" + name, kind: "test file")
  }

  private func code(_ body: () throws -> Void) -> DiskError.Code? {
    do {
      try body()
      return nil
    } catch {
      return (error as? DiskError)?.code
    }
  }

  private func write(_ bytes: [UInt8], to handle: any FileHandle, at offset: Int) throws {
    let buffer = AlignedBuffer(count: bytes.count)
    buffer.copy(bytes)
    try buffer.withBytes(0..<bytes.count) { try handle.write([$0], at: offset) }
  }

  private func read(_ count: Int, from handle: any FileHandle, at offset: Int) throws -> [UInt8] {
    let buffer = AlignedBuffer(count: count)
    let got = try buffer.withMutableBytes(0..<buffer.count) {
      try handle.read(into: $0, at: offset)
    }
    return buffer.bytes(0..<min(got, count))
  }

  @Test("bytes come back, directly and through the cache", arguments: [true, false])
  func roundTrip(isDirect: Bool) throws {
    let bytes = SeededRandom(seed: 1).bytes(12_288)
    let handle = try system.open(path("a"), FileMode(.create, isDirect: isDirect))
    try write(bytes, to: handle, at: 4096)
    try handle.syncData()
    try system.syncDirectory(DiskPath(directory.path, kind: "directory"))
    #expect(try handle.status().size == 16_384)
    let again = try system.open(path("a"), FileMode(.read, isDirect: isDirect))
    #expect(try read(12_288, from: again, at: 4096) == bytes)
    #expect(try read(4096, from: again, at: 0) == [UInt8](repeating: 0, count: 4096))
    // At the end of the file there is less than was asked for.
    #expect(try read(8192, from: again, at: 12_288) == Array(bytes[8192...]))
    #expect(try read(4096, from: again, at: 1 << 20).isEmpty)
  }

  @Test("several runs are written one behind the other, and a hole reads as zeros")
  func runsAndHoles() throws {
    let handle = try system.open(path("a"), FileMode(.create, isDirect: true))
    let first = AlignedBuffer(count: 4096)
    let second = AlignedBuffer(count: 8192)
    first.copy([UInt8](repeating: 1, count: 4096))
    second.copy([UInt8](repeating: 2, count: 8192))
    try first.withBytes(0..<4096) { first in
      try second.withBytes(0..<8192) { second in try handle.write([first, second], at: 0) }
    }
    #expect(
      try read(12_288, from: handle, at: 0)
        == [UInt8](repeating: 1, count: 4096) + [UInt8](repeating: 2, count: 8192))
    do {
      try handle.punchHole(4096..<8192)
    } catch {
      // Not every file system makes holes; it must say so by this code.
      #expect(error.code == .unsupported)
      return
    }
    #expect(try read(4096, from: handle, at: 4096) == [UInt8](repeating: 0, count: 4096))
    #expect(try read(4096, from: handle, at: 8192) == [UInt8](repeating: 2, count: 4096))
    #expect(try handle.status().size == 12_288)
  }

  @Test("a file system that refuses direct transfers gets ordinary ones")
  func memoryFiles() throws {
    let name = "/dev/shm/s3storage-test-\(SystemRandom().next())"
    let path = DiskPath(name, kind: "test file")
    let handle: any FileHandle
    do {
      handle = try system.open(path, FileMode(.create, isDirect: true))
    } catch {
      // There is no such file system here.
      return
    }
    defer { try? system.delete(path) }
    let bytes = SeededRandom(seed: 2).bytes(8192)
    try write(bytes, to: handle, at: 0)
    try handle.syncData()
    #expect(try read(8192, from: handle, at: 0) == bytes)
  }

  @Test("transfers that break the alignment go on through the cache")
  func misalignment() throws {
    let handle = try system.open(path("a"), FileMode(.create, isDirect: true))
    try write(SeededRandom(seed: 3).bytes(100), to: handle, at: 7)
    #expect(try read(100, from: handle, at: 7) == SeededRandom(seed: 3).bytes(100))
  }

  @Test("what fails says why, and never where")
  func errors() throws {
    #expect(code { _ = try system.open(path("none"), FileMode(.read)) } == .notFound)
    #expect(code { _ = try system.open(path("none/x"), FileMode(.create)) } == .notFound)
    _ = try system.open(path("a"), FileMode(.create))
    #expect(code { _ = try system.open(path("a"), FileMode(.create)) } == .exists)
    #expect(code { _ = try system.open(path("a"), FileMode(.create, isDirect: true)) } == .exists)
    #expect(code { try system.makeDirectory(path("a")) } == .exists)
    #expect(code { try system.delete(path("none")) } == .notFound)
    #expect(code { try system.rename(path("none"), to: path("b")) } == .notFound)
    #expect(code { _ = try system.list(path("none")) } == .notFound)
    #expect(code { _ = try system.status(path("none")) } == .notFound)
    #expect(code { try system.syncDirectory(path("none")) } == .notFound)
    symlink(directory.path + "/a", directory.path + "/link")
    #expect(code { _ = try system.open(path("link"), FileMode(.read)) } != nil)
    do {
      _ = try system.open(path("none"), FileMode(.read))
    } catch {
      #expect(error.description == "cannot open test file: not found (errno 2)")
    }
  }

  @Test("every number of the system has one code")
  func codes() {
    let known: [(Int32, DiskError.Code)] = [
      (ENOENT, .notFound), (ENOSPC, .noSpace), (EDQUOT, .noSpace), (EROFS, .readOnly),
      (EIO, .device), (EACCES, .permission), (ESTALE, .gone), (EAGAIN, .locked),
      (EMFILE, .exhausted), (EINVAL, .unsupported), (EOPNOTSUPP, .unsupported),
      (ENOTEMPTY, .exists), (ELOOP, .other), (0, .other),
    ]
    for (number, code) in known { #expect(DiskError.code(of: number) == code) }
  }

  @Test("a lock has one holder at a time")
  func lock() throws {
    _ = try system.open(path("a"), FileMode(.create))
    var first: (any FileHandle)? = try system.open(path("a"), FileMode(.read))
    let second = try system.open(path("a"), FileMode(.read))
    try first?.lock()
    #expect(code { try second.lock() } == .locked)
    first = nil
    try second.lock()
  }

  @Test("a lock ends with its holder, whoever has a descriptor of the file for a moment")
  func release() throws {
    _ = try system.open(path("a"), FileMode(.create))
    var first: (any FileHandle)? = try system.open(path("a"), FileMode(.read))
    try first?.lock()
    let copy = DescriptorCopy(of: "\(directory.path)/a")
    #expect(copy != nil)
    first = nil
    try system.open(path("a"), FileMode(.read)).lock()
    withExtendedLifetime(copy) {}
  }

  @Test("directories are listed, files renamed and deleted")
  func names() throws {
    try system.makeDirectory(path("d"))
    let handle = try system.open(path("d/a"), FileMode(.create))
    try system.rename(path("d/a"), to: path("d/b"))
    #expect(try system.list(path("d")) == [DirectoryEntry(name: "b", isDirectory: false)])
    let all = try system.list(DiskPath(directory.path + "/", kind: "directory"))
    #expect(all == [DirectoryEntry(name: "d", isDirectory: true)])
    #expect(try handle.status().linkCount == 1)
    let found = try system.status(path("d/b"))
    #expect(try handle.status() == found)
    try system.delete(path("d/b"))
    #expect(try handle.status().linkCount == 0)
    #expect(try system.status(path("d")).isDirectory)
  }

  @Test("space adds up")
  func space() throws {
    let space = try system.space(DiskPath(directory.path, kind: "directory"))
    #expect(space.capacity > 0 && space.free <= space.capacity && space.used <= space.capacity)
    #expect(!space.isReadOnly)
  }

  @Test("a call that a signal interrupts is made again, one that fails is not")
  func interruption() throws {
    var calls = 0
    let result = try SystemCall.retry(.read, path("a")) {
      calls += 1
      errno = EINTR
      return calls < 3 ? -1 : 7
    }
    #expect(result == 7 && calls == 3)
    calls = 0
    #expect(
      code {
        try SystemCall.retry(.sync, path("a")) { () -> Int in
          calls += 1
          errno = EIO
          return -1
        }
      } == .device)
    #expect(calls == 1)
  }

  @Test("short transfers go on where they stopped")
  func shortTransfers() throws {
    var offsets: [Int] = []
    let moved = try SystemCall.transfer(count: 10) { done throws(DiskError) in
      offsets.append(done)
      return min(4, 10 - done)
    }
    #expect(moved == 10 && offsets == [0, 4, 8])
    #expect(try SystemCall.transfer(count: 10) { $0 < 4 ? 4 : 0 } == 4)
  }

  @Test("descriptors are closed with their handles")
  func descriptors() throws {
    // Of this test's own files: others open and close theirs meanwhile.
    func openCount() throws -> Int {
      try system.list(DiskPath("/proc/self/fd", kind: "directory")).count { descriptor in
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/fd/\(descriptor.name)", &target, target.count)
        guard count > 0 else { return false }
        let name = String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return name.hasPrefix(directory.path + "/")
      }
    }
    let handle = try system.open(path("held"), FileMode(.create, isDirect: true))
    for number in 0..<300 {
      _ = try system.open(path("f\(number)"), FileMode(.create, isDirect: true))
    }
    #expect(try openCount() == 1)
    withExtendedLifetime(handle) {}
  }
}
