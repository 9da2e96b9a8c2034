import Base
import Disk
import Runtime
import TestSupport
import Testing

@testable import ChunkStore

@Suite struct CompactionTests {
  private func volumeNames(_ system: LossyFileSystem) throws -> [String] {
    try system.list(DiskPath("/store/volumes", kind: "directory")).map(\.name)
      .filter { $0 != "index" }.sorted()
  }

  /// Fills several volumes and deletes most of it again; returns what is left.
  private func fill(_ store: LocalChunkStore) async throws -> [SampleChunk] {
    let chunks = (UInt64(0)..<150).map { SampleChunk($0, length: 64 * (100 + Int($0) * 7)) }
    for chunk in chunks { try await chunk.put(to: store) }
    let dead = chunks.filter { $0.id.extent.low % 3 != 0 }
    try await store.delete(dead.map(\.id))
    return chunks.filter { $0.id.extent.low % 3 == 0 }
  }

  @Test("compaction keeps what lives, frees what is dead, and survives any restart")
  func compaction() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let live = try await fill(store)
    let before = try volumeNames(system)
    #expect(before.count > 4)
    var steps = 0
    while try await store.compactStep() { steps += 1 }
    #expect(steps > 0)
    #expect(try volumeNames(system).count < before.count / 2 + 1)
    for withIndex in [true, false] {
      if withIndex { try await store.checkpoint(always: true) }
      let copy = system.afterCrash()
      if !withIndex { try? copy.delete(DiskPath("/store/volumes/index", kind: "index")) }
      let reopened = try StoreHarness(copy).open()
      for chunk in live { #expect(try await readAll(chunk.id, from: reopened) == chunk.bytes) }
      #expect(Set(try await listAll(reopened, limit: 40)) == Set(live.map(\.id)))
    }
  }

  @Test("a reader that is open while its record moves reads on; one whose chunk goes does not")
  func movedRecord() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let live = try await fill(store)
    var readers: [any ChunkReader] = []
    for chunk in live { readers.append(try await store.openChunk(chunk.id)) }
    while try await store.compactStep() {}
    for (chunk, reader) in zip(live, readers) {
      let buffer = AlignedBuffer(count: chunk.length)
      try await reader.read(0..<chunk.length, into: buffer, at: 0)
      #expect(buffer.bytes(0..<chunk.length) == chunk.bytes)
    }
  }

  /// Three chunks in the first volume; fills it up with others if `isClosed`.
  private func fillOne(
    _ system: LossyFileSystem, isClosed: Bool, reserve: Int = 0
  ) async throws -> (store: LocalChunkStore, chunks: [SampleChunk]) {
    var options = StoreHarness.smallOptions
    options.reserveBytes = reserve
    let store = try StoreHarness(system, options: options).createAndOpen()
    let chunks = (UInt64(0)..<(isClosed ? 20 : 3)).map { SampleChunk($0, length: 65_536) }
    for chunk in chunks { try await chunk.put(to: store) }
    return (store, chunks)
  }

  private func isHole(_ system: LossyFileSystem) throws -> Bool {
    let volume = try #require(system.contents("/store/volumes/00000001"))
    return volume[4096..<65_536].allSatisfy { $0 == 0 }
  }

  @Test("dead records of a volume that was closed become holes, the others stay as they are")
  func holes() async throws {
    let system = LossyFileSystem()
    let (store, chunks) = try await fillOne(system, isClosed: true)
    try await store.delete([chunks[0].id])
    #expect(try !isHole(system))
    #expect(try await store.compactStep())
    #expect(try isHole(system))
    while try await store.compactStep() {}
    for chunk in chunks.dropFirst() {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
  }

  @Test("no holes are made in the volume that is written, but if space is short or nobody writes")
  func holesOfWriter() async throws {
    let system = LossyFileSystem()
    let space = try system.space(DiskPath("/", kind: "directory"))
    for isShort in [false, true] {
      let system = LossyFileSystem()
      // Just a volume above the reserve is free before anything is written.
      let (store, chunks) = try await fillOne(
        system, isClosed: false, reserve: isShort ? space.free - ByteCount.mebibyte : 0)
      try await store.delete([chunks[0].id])
      #expect(try await store.compactStep() == isShort)
      #expect(try isHole(system) == isShort)
      // Nothing was written since.
      #expect(try await store.compactStep() != isShort)
      #expect(try isHole(system))
      for chunk in chunks.dropFirst() {
        #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
      }
      // The last batch proves itself.
      try await store.delete([chunks[2].id])
      while try await store.compactStep() {}
      let reopened = try StoreHarness(system.afterCrash()).open()
      #expect(try await readAll(chunks[1].id, from: reopened) == chunks[1].bytes)
      await #expect(throws: ChunkStoreError.missing) {
        try await readAll(chunks[2].id, from: reopened)
      }
    }
  }

  @Test("what is dead is remembered within a bound, and comes in order, joined where it touches")
  func deadRanges() {
    var dead = DeadRanges()
    for range in [256..<512, 0..<128, 512..<1024, 2048..<4096] { dead.add(range, of: 7) }
    dead.add(0..<64, of: 3)
    #expect(dead.volumes == [3, 7])
    #expect(dead.take(64, of: 7, endingBy: 2048) == [0..<128, 256..<1024])
    #expect(dead.count == 2)
    #expect(dead.take(64, of: 7, endingBy: 2048).isEmpty)
    dead.forget(7)
    #expect(dead.volumes == [3])
    for number in 0..<DeadRanges.limit { dead.add(number * 64..<number * 64 + 1, of: 9) }
    #expect(dead.count == DeadRanges.limit)
    #expect(dead.take(2, of: 9, endingBy: .max) == [0..<1, 64..<65])
  }

  private func entries(_ system: LossyFileSystem) throws -> [ChunkID: ChunkIndex.Entry] {
    let store = try StoreHarness(system).open()
    let index = store.volumes.state.withLock { $0.index }
    var result: [ChunkID: ChunkIndex.Entry] = [:]
    for shard in 0..<ChunkIndex.shardCount {
      for (id, entry) in index.entries(inShard: shard) { result[id] = entry }
    }
    return result
  }

  @Test("the index of a checkpoint and the index of the volumes are the same")
  func rebuild() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let live = try await fill(store)
    try await store.checkpoint(always: true)
    try await SampleChunk(999, length: 640).put(to: store)
    let saved = try entries(system.afterCrash())
    #expect(saved.count == live.count + 1)
    let missing = system.afterCrash()
    try missing.delete(DiskPath("/store/volumes/index", kind: "index"))
    #expect(try entries(missing) == saved)
    let whole = try #require(system.contents("/store/volumes/index"))
    var damaged: [[UInt8]] = [[], Array(whole.prefix(4096)), Array(whole.dropLast(4096))]
    for position in [0, 9, 17, 33, 41, 70, whole.count / 2, whole.count - 1, whole.count - 20] {
      var bytes = whole
      bytes[position] ^= 0x10
      damaged.append(bytes)
    }
    for bytes in damaged {
      let copy = system.afterCrash()
      copy.replace("/store/volumes/index", with: bytes)
      #expect(try entries(copy) == saved)
    }
  }

  @Test("a store that stopped in order goes on in its last volume")
  func continuation() async throws {
    let system = LossyFileSystem()
    for round in UInt64(0)..<4 {
      let store =
        try round == 0
        ? StoreHarness(system).createAndOpen() : StoreHarness(system).open()
      try await SampleChunk(round, length: 6400).put(to: store)
      await store.shutdown()
    }
    #expect(try volumeNames(system) == ["00000001"])
    let store = try StoreHarness(system).open()
    for round in UInt64(0)..<4 {
      let chunk = SampleChunk(round, length: 6400)
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
  }

  @Test("a volume of another store, or under another number, is neither read nor deleted")
  func foreignVolume() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let live = try await fill(store)
    try await store.checkpoint(always: true)
    let first = try #require(system.contents("/store/volumes/00000001"))
    let second = try #require(system.contents("/store/volumes/00000002"))
    let swapped = system.afterCrash()
    swapped.replace("/store/volumes/00000001", with: second)
    swapped.replace("/store/volumes/00000002", with: first)
    let reopened = try StoreHarness(swapped).open()
    var corrupt = 0
    for chunk in live {
      switch await failure(of: { try await readAll(chunk.id, from: reopened) }) {
      case nil: break
      case .corrupt: corrupt += 1
      case let other: Issue.record("\(String(describing: other))")
      }
    }
    #expect(corrupt > 0)
    while try await reopened.compactStep() {}
    #expect(swapped.contents("/store/volumes/00000001") == second)
    #expect(swapped.contents("/store/volumes/00000002") == first)
  }
}
