import Base
import ChunkStore
import Disk
import Runtime
import TestSupport
import Testing

@Suite struct TornBatchTests {
  @Test("what a torn batch would have undone stays, through restarts and compaction")
  func replacedChunk() async throws {
    let old = SampleChunk(1, length: 65_536)
    let new = SampleChunk(1, length: 65_536, generation: 1)
    let filler = SampleChunk(2, length: 65_536)
    var system = LossyFileSystem()
    try await old.put(to: try StoreHarness(system).createAndOpen())

    system = system.afterCrash()
    var store = try StoreHarness(system).open()
    try await filler.put(to: store)
    try await new.put(to: store)

    // The batch has lost a page of the new chunk, and kept the record that undoes the old one.
    system = system.afterCrash()
    var volume = try #require(system.contents("/store/volumes/00000002"))
    let page = volume.count - 5 * 4096
    for offset in page..<page + 4096 { volume[offset] = 0 }
    system.replace("/store/volumes/00000002", with: volume)
    store = try StoreHarness(system).open()
    #expect(try await readAll(old.id, from: store) == old.bytes)
    try await SampleChunk(3, length: 640).put(to: store)
    try await store.checkpoint(always: true)

    system = system.afterCrash()
    store = try StoreHarness(system).open()
    #expect(try await readAll(old.id, from: store) == old.bytes)
    try await store.delete([filler.id])
    while try await store.compactStep() {}
    #expect(system.contents("/store/volumes/00000002") == nil)

    system = system.afterCrash()
    try system.delete(DiskPath("/store/volumes/index", kind: "index"))
    store = try StoreHarness(system).open()
    #expect(try await readAll(old.id, from: store) == old.bytes)
  }

  @Test("every cut of a volume's tail leaves a store that has all older batches")
  func everyTail() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let kept = SampleChunk(1, length: 6400)
    let torn = SampleChunk(2, length: 12_800)
    try await kept.put(to: store)
    let before = try #require(system.contents("/store/volumes/00000001"))
    try await torn.put(to: store)
    let after = try #require(system.contents("/store/volumes/00000001"))
    for length in stride(from: before.count, through: after.count, by: 64) {
      for isZeroed in [false, true] {
        var bytes = Array(after.prefix(length))
        if isZeroed { bytes += [UInt8](repeating: 0, count: after.count - length) }
        let copy = system.afterCrash()
        copy.replace("/store/volumes/00000001", with: bytes)
        let reopened = try StoreHarness(copy).open()
        #expect(try await readAll(kept.id, from: reopened) == kept.bytes)
        let error = await failure { try await readAll(torn.id, from: reopened) }
        #expect(error == nil || error == .missing)
        // What comes next goes elsewhere, and is there after one more restart.
        let next = SampleChunk(3, length: 640)
        try await next.put(to: reopened)
        let again = try StoreHarness(copy.afterCrash()).open()
        #expect(try await readAll(kept.id, from: again) == kept.bytes)
        #expect(try await readAll(next.id, from: again) == next.bytes)
      }
    }
  }

  @Test("a write that failed leaves nothing that a later restart could take for true")
  func failedBatch() async throws {
    let old = SampleChunk(1, length: 65_536)
    for newGeneration in UInt64(1)...2 {
      // The second time the volume is nearly full, so that the next batch goes to another one.
      let fillers = newGeneration == 1 ? 1 : 12
      var system = LossyFileSystem()
      var store = try StoreHarness(system).createAndOpen()
      try await old.put(to: store)
      for number in 0..<fillers {
        try await SampleChunk(UInt64(10 + number), length: 65_536).put(to: store)
      }
      try await SampleChunk(41, length: 6400).put(to: store)
      // All of the batch reaches the disk, and the store is told that it did not.
      let new = SampleChunk(1, length: 65_536, generation: newGeneration)
      system.inject(.init(.write, on: "volume", times: 1, code: .noSpace))
      system.leaveFailedWrites()
      #expect(await failure { try await new.put(to: store) } == .full)
      #expect(try await readAll(old.id, from: store) == old.bytes)
      try await SampleChunk(40, length: 131_072).put(to: store)
      try await store.delete([old.id])
      let volumes = try system.list(DiskPath("/store/volumes", kind: "directory")).map(\.name)
      #expect(volumes.contains("00000002") == (newGeneration == 2))
      for withIndex in [true, false] {
        if withIndex { try await store.checkpoint(always: true) }
        system = system.afterCrash()
        if !withIndex { try? system.delete(DiskPath("/store/volumes/index", kind: "index")) }
        store = try StoreHarness(system).open()
        #expect(await failure { try await readAll(old.id, from: store) } == .missing)
        #expect(try await listAll(store).count == fillers + 2)
      }
    }
  }

  @Test("a chunk whose put failed does not appear after it was deleted")
  func failedPut() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let chunk = SampleChunk(1, length: 6400)
    try await SampleChunk(2, length: 6400).put(to: store)
    system.inject(.init(.write, on: "volume", times: 1, code: .noSpace))
    system.leaveFailedWrites()
    #expect(await failure { try await chunk.put(to: store) } == .full)
    try await store.delete([chunk.id])
    let reopened = try StoreHarness(system.afterCrash()).open()
    #expect(await failure { try await readAll(chunk.id, from: reopened) } == .missing)
  }
}
