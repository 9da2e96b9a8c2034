import Disk
import Runtime
import TestSupport
import Testing

/// The layer that other tests trust to lose what was not synced.
@Suite struct LossyFileSystemTests {
  private let file = DiskPath("/a", kind: "test file")
  private let root = DiskPath("/", kind: "directory")

  private func write(_ byte: UInt8, to handle: any FileHandle, at offset: Int) throws {
    let bytes = [UInt8](repeating: byte, count: 4096)
    try bytes.withUnsafeBytes { try handle.write([$0], at: offset) }
  }

  private func survivors(_ system: LossyFileSystem) -> [[UInt8]?] {
    (UInt64(0)..<200).map { system.afterPowerCut(SeededRandom(seed: $0)).contents("/a") }
  }

  @Test("what was synced survives every power cut")
  func synced() throws {
    let system = LossyFileSystem()
    let handle = try system.open(file, FileMode(.create))
    try write(1, to: handle, at: 0)
    try handle.syncData()
    try system.syncDirectory(root)
    #expect(survivors(system).allSatisfy { $0 == [UInt8](repeating: 1, count: 4096) })
  }

  @Test("what was not synced survives some and not others")
  func unsynced() throws {
    let system = LossyFileSystem()
    let handle = try system.open(file, FileMode(.create))
    try write(1, to: handle, at: 0)
    try handle.syncData()
    #expect(Set(survivors(system).map { $0 == nil }) == [true, false])
    try system.syncDirectory(root)
    try write(2, to: handle, at: 0)
    try write(3, to: handle, at: 4096)
    let found = survivors(system)
    #expect(found.contains { $0?.first == 1 } && found.contains { $0?.first == 2 })
    #expect(found.contains { $0?.count == 4096 } && found.contains { $0?.last == 3 })
    // A later write without the earlier one: order means nothing.
    #expect(found.contains { $0?.first == 1 && $0?.last == 3 })
  }

  @Test("removals and new names may be lost as well")
  func names() throws {
    let system = LossyFileSystem()
    _ = try system.open(file, FileMode(.create))
    try system.syncDirectory(root)
    try system.rename(file, to: DiskPath("/b", kind: "test file"))
    let found = (UInt64(0)..<200).map { seed in
      let survivor = system.afterPowerCut(SeededRandom(seed: seed))
      return [survivor.contents("/a") != nil, survivor.contents("/b") != nil]
    }
    #expect(Set(found).count == 4)
  }

  @Test("the same seed gives the same survivors")
  func seeds() throws {
    let system = LossyFileSystem()
    let handle = try system.open(file, FileMode(.create))
    for offset in 0..<20 { try write(UInt8(offset), to: handle, at: offset * 4096) }
    #expect(survivors(system) == survivors(system))
  }

  @Test("faults come when they are due and go when they are over")
  func faults() throws {
    let system = LossyFileSystem()
    let handle = try system.open(file, FileMode(.create))
    system.inject(.init(.sync, on: "test file", after: 1, times: 2))
    var results: [Bool] = []
    for _ in 0..<5 { results.append((try? handle.syncData()) != nil) }
    #expect(results == [true, false, false, true, true])
    system.setReadOnly(true)
    #expect((try? write(1, to: handle, at: 0)) == nil)
    system.setReadOnly(false)
    system.setCapacity(4096)
    try write(1, to: handle, at: 0)
    #expect((try? write(1, to: handle, at: 4096)) == nil)
    system.cutPower(afterChanges: 1)
    try handle.syncData()
    #expect((try? handle.syncData()) == nil && system.isOff)
  }
}
