import Base
import ChunkStore
import Disk
import Erasure
import Runtime
import TestSupport
import Testing

@Suite struct LocalChunkStoreTests {
  static let lengths = [
    64, 128, 4032, 4096, 4160, 65_472, 65_536, 65_600, 131_008, 131_072, 131_136, 262_144,
    262_208, 1_048_576, 1_048_640, 3_000_000,
  ]

  @Test("a chunk of any length reads back from a real disk, before and after a restart")
  func roundTrip() async throws {
    let directory = TemporaryDirectory()
    let harness = StoreHarness(SystemFileSystem(), directory: directory.path + "/store")
    try await withTaskExecutorPreference(blockingPool) {
      let chunks = Self.lengths.enumerated().map { SampleChunk(UInt64($0), length: $1) }
      var store: LocalChunkStore? = try harness.createAndOpen()
      for chunk in chunks { try await chunk.put(to: try #require(store)) }
      try await Self.check(chunks, in: try #require(store))
      await store?.shutdown()
      store = nil
      try await Self.check(chunks, in: try harness.open())
    }
  }

  private static func check(_ chunks: [SampleChunk], in store: LocalChunkStore) async throws {
    for chunk in chunks {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
      #expect(
        try await store.stat(chunk.id)
          == ChunkStatus(header: chunk.header, trailer: chunk.trailer))
      try await store.verify(chunk.id)
    }
    #expect(Set(try await listAll(store)) == Set(chunks.map(\.id)))
    let health = await store.health()
    #expect(health.state == .active && health.chunkCount == chunks.count)
  }

  @Test("ranges on checksum boundaries read to any page of the buffer")
  func ranges() async throws {
    let store = try StoreHarness(LossyFileSystem()).createAndOpen()
    try await withTaskExecutorPreference(blockingPool) {
      for (number, length) in [131_000 / 64 * 64, 1_000_000 / 64 * 64].enumerated() {
        let chunk = SampleChunk(UInt64(number), length: length)
        try await chunk.put(to: store)
        let reader = try await store.openChunk(chunk.id)
        for start in stride(from: 0, to: length, by: 65_536) {
          for end in [min(start + 65_536, length), length] {
            let buffer = AlignedBuffer(count: 8192 + ByteCount.roundUp(end - start, to: 4096))
            try await reader.read(start..<end, into: buffer, at: 8192)
            #expect(buffer.bytes(8192..<8192 + end - start) == Array(chunk.bytes[start..<end]))
          }
        }
      }
    }
  }

  @Test("a chunk that is not there is missing, and deleting it is no error")
  func missing() async throws {
    let store = try StoreHarness(LossyFileSystem()).createAndOpen()
    let chunk = SampleChunk(1, length: 100 * 64)
    #expect(await failure { try await store.openChunk(chunk.id) } == .missing)
    #expect(await failure { try await store.stat(chunk.id) } == .missing)
    #expect(await failure { try await store.verify(chunk.id) } == .missing)
    try await store.delete([chunk.id, chunk.id])
  }

  @Test("deleted chunks are gone at once and after a restart", arguments: [6400, 400_000])
  func delete(length: Int) async throws {
    let system = LossyFileSystem()
    var store: LocalChunkStore? = try StoreHarness(system).createAndOpen()
    let length = length / 64 * 64
    let chunks = (0..<5).map { SampleChunk($0, length: length) }
    for chunk in chunks { try await chunk.put(to: try #require(store)) }
    try await store?.delete([chunks[1].id, chunks[3].id])
    for restart in [false, true] {
      if restart {
        store = nil
        store = try StoreHarness(system).open()
      }
      let open = try #require(store)
      #expect(
        Set(try await listAll(open, limit: 2)) == Set([chunks[0].id, chunks[2].id, chunks[4].id]))
      #expect(await failure { try await open.openChunk(chunks[1].id) } == .missing)
      #expect(try await readAll(chunks[2].id, from: open) == chunks[2].bytes)
    }
  }

  @Test("deleting what is not there syncs no directory, deleting what is there does")
  func deleteMissing() async throws {
    let directory = TemporaryDirectory()
    let system = SlowSyncs(SystemFileSystem())
    let harness = StoreHarness(system, directory: directory.path + "/store")
    try await withTaskExecutorPreference(blockingPool) {
      let store = try harness.createAndOpen()
      let chunks = (UInt64(0)..<3).map { SampleChunk($0, length: 400_000) }
      for chunk in chunks.prefix(2) { try await chunk.put(to: store) }
      func syncs(_ ids: [ChunkID]) async throws -> Int {
        let before = system.directoryCount
        try await store.delete(ids)
        return system.directoryCount - before
      }
      #expect(try await syncs([chunks[0].id]) == 1)
      #expect(try await syncs([chunks[0].id, chunks[2].id]) == 0)
      let elsewhere = ExtentID(epoch: 99, random: (1, 1))
      #expect(try await syncs([ChunkID(extent: elsewhere, index: 0)]) == 0)
      #expect(try await syncs(chunks.map(\.id)) == 1)
      #expect(try await listAll(store).isEmpty)
    }
  }

  @Test("a chunk that is put again replaces the one before", arguments: [6400, 400_000])
  func replace(length: Int) async throws {
    let system = LossyFileSystem()
    let length = length / 64 * 64
    let store = try StoreHarness(system).createAndOpen()
    let first = SampleChunk(1, length: length)
    let second = SampleChunk(1, length: length, generation: 1)
    try await first.put(to: store)
    try await second.put(to: store)
    #expect(try await readAll(first.id, from: store) == second.bytes)
    #expect(await store.health().chunkCount == 1)
    let reopened = try StoreHarness(system.afterCrash()).open()
    #expect(try await readAll(first.id, from: reopened) == second.bytes)
    #expect(try await listAll(reopened) == [first.id])
  }

  @Test(
    "data that comes with the end makes the same file as data that came before",
    arguments: [64, 4096, 131_136, 262_144, 262_208, 524_288, 600_000])
  func dataWithTheEnd(length: Int) async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let chunk = SampleChunk(1, length: length)
    func parts(_ range: Range<Int>) -> [ChunkPart] {
      stride(from: range.lowerBound, to: range.upperBound, by: 262_144).map {
        ChunkPart(chunk.buffer(), $0..<min($0 + 262_144, range.upperBound))
      }
    }
    var files: Set<[UInt8]?> = []
    for before in [0, min(length, 262_144), length] {
      let writer = try await store.beginChunk(chunk.header)
      for part in parts(0..<before) { try await writer.append(part.buffer, part.range) }
      try await writer.finish(chunk.trailer, appending: parts(before..<length))
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
      files.insert(system.contents("/store/chunks/000000000007/\(chunk.id)"))
    }
    #expect(files.count == 1 && files.first??.isEmpty == false)
    let writer = try await store.beginChunk(chunk.header)
    let tooMuch = parts(0..<length) + [ChunkPart(chunk.buffer(), 0..<64)]
    #expect(await failure { try await writer.finish(chunk.trailer, appending: tooMuch) } != nil)
    await writer.abort()
    #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
  }

  @Test("an aborted or abandoned chunk leaves nothing behind")
  func abort() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let chunk = SampleChunk(1, length: 400_000 / 64 * 64)
    let aborted = try await store.beginChunk(chunk.header)
    try await aborted.append(chunk.buffer(), 0..<262_144)
    let path = DiskPath("/store/unfinished", kind: "directory")
    #expect(try system.list(path).count == 1)
    // A file that is being written is no leftover.
    #expect(try await store.sweepUnfinished(limit: 10) == 0)
    await aborted.abort()
    #expect(try system.list(path).isEmpty)
    #expect(await failure { try await aborted.append(chunk.buffer(), 0..<4096) } != nil)

    var abandoned: (any ChunkWriter)? = try await store.beginChunk(chunk.header)
    try await abandoned?.append(chunk.buffer(), 0..<262_144)
    abandoned = nil
    #expect(try system.list(path).count == 1)
    #expect(try await store.sweepUnfinished(limit: 10) == 1)
    #expect(try system.list(path).isEmpty)
    #expect(try await listAll(store).isEmpty)
  }

  @Test("a crash leaves unfinished files, which the next open removes")
  func unfinished() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    let chunk = SampleChunk(1, length: 400_000 / 64 * 64)
    let writer = try await store.beginChunk(chunk.header)
    try await writer.append(chunk.buffer(), 0..<262_144)
    let crashed = system.afterCrash()
    let path = DiskPath("/store/unfinished", kind: "directory")
    #expect(try crashed.list(path).count == 1)
    let reopened = try StoreHarness(crashed).open()
    #expect(try crashed.list(path).isEmpty)
    #expect(await failure { try await reopened.openChunk(chunk.id) } == .missing)
  }

  @Test("what contradicts itself or the format is refused")
  func refusals() async throws {
    let store = try StoreHarness(LossyFileSystem()).createAndOpen()
    let chunk = SampleChunk(1, length: 6400)
    func put(_ change: (inout ChunkHeader, inout ChunkTrailer) -> Void) async -> ChunkStoreError? {
      var header = chunk.header
      var trailer = chunk.trailer
      change(&header, &trailer)
      return await failure {
        try await store.putSmall(
          header, data: chunk.buffer(), range: 0..<chunk.length, trailer: trailer)
      }
    }
    #expect(await put { _, _ in } == nil)
    #expect(await put { header, _ in header.cluster = ClusterID(high: 9, low: 9) } != nil)
    #expect(await put { header, _ in header.id.index = 6 } != nil)
    #expect(await put { _, trailer in trailer.dataLength -= 64 } != nil)
    #expect(await put { _, trailer in trailer.blockChecksums.append(0) } != nil)
    #expect(await put { _, trailer in trailer.extentLength = -1 } != nil)
    #expect(await put { $1.wrappedKey = Array(repeating: 0, count: 4097) } != nil)
    #expect(await put { $1.descriptor = Array(repeating: 0, count: 65_537) } != nil)
    #expect(await put { $1.descriptor = Array(repeating: 1, count: 65_536) } == nil)
    let long = SampleChunk(2, length: 131_136)
    #expect(
      await failure {
        try await store.putSmall(
          long.header, data: long.buffer(), range: 0..<long.length, trailer: long.trailer)
      } != nil)
    let writer = try await store.beginChunk(long.header)
    try await writer.append(long.buffer(), 0..<long.length)
    // Nothing follows a block that is not whole.
    #expect(await failure { try await writer.append(long.buffer(), 0..<4096) } != nil)
    #expect(await failure { try await writer.finish(long.trailer) } != nil)
  }

  @Test("only a new, empty directory becomes a store, and only a store is opened")
  func identity() async throws {
    let system = LossyFileSystem()
    let harness = StoreHarness(system)
    #expect(await failure { try harness.open() } != nil)
    try harness.create()
    #expect(await failure { try harness.create() } != nil)
    let store = try harness.open()
    // The lock admits one at a time.
    #expect(await failure { try harness.open() } != nil)
    #expect(
      await failure {
        try LocalChunkStore.open(
          directory: "/store", fileSystem: system.afterCrash(),
          cluster: ClusterID(high: 1, low: 1))
      } != nil)
    #expect(
      await failure {
        try LocalChunkStore.open(
          directory: "/store", fileSystem: system.afterCrash(), cluster: StoreHarness.cluster,
          store: StoreID(high: 1, low: 1))
      } != nil)
    for text in ["", "{}", "{\"format\": 2}", "{\"format\": 1, \"cluster\": \"00\"}", "[1]"] {
      let copy = system.afterCrash()
      copy.replace("/store/store.json", with: Array(text.utf8))
      #expect(await failure { try StoreHarness(copy).open() } != nil)
    }
    #expect(await store.health().state == .active)
  }

  @Test("after a shutdown nothing is taken, and the lock goes with the store")
  func shutdown() async throws {
    let system = LossyFileSystem()
    var store: LocalChunkStore? = try StoreHarness(system).createAndOpen()
    let chunk = SampleChunk(1, length: 6400)
    try await chunk.put(to: try #require(store))
    await store?.shutdown()
    let closed = try #require(store)
    #expect(await failure { try await chunk.put(to: closed) } != nil)
    #expect(await failure { try await closed.openChunk(chunk.id) } != nil)
    #expect(await closed.health().state == .offline)
    // The housekeeping of a closed store ends by itself.
    await closed.run()
    store = nil
  }

  @Test("housekeeping runs until it is cancelled")
  func run() async throws {
    let store = try StoreHarness(LossyFileSystem()).createAndOpen()
    let task = Task { await store.run() }
    for number in UInt64(0)..<40 {
      try await SampleChunk(number, length: 64_000 / 64 * 64).put(to: store)
    }
    task.cancel()
    await task.value
    #expect(try await listAll(store).count == 40)
  }
}
