import Base
import ChunkRPC
import ChunkStore
import Disk
import Erasure
import Runtime
import TestSupport
import Testing

/// What holds for a store of this process holds for one of another.
@Suite struct ContractTests {
  enum Place: CaseIterable {
    case local
    case remote
  }

  static let lengths = [
    64, 4096, 4160, 65_472, 65_536, 65_600, 131_072, 131_136, 262_144, 262_208, 1_048_576,
    1_048_640, 3_000_000,
  ]

  /// Runs `body` on a store, here or behind a connection.
  static func withStore(
    _ place: Place, _ given: LocalChunkStore? = nil,
    _ body: (any ChunkStore, LocalChunkStore) async throws -> Void
  ) async throws {
    let store = try given ?? Sample.store()
    try await withTaskExecutorPreference(blockingPool) {
      switch place {
      case .local: try await body(store, store)
      case .remote:
        try await withConnection([store]) { connection in
          try await FixedStamp(1).with {
            try await body(connection.store(Sample.storeID), store)
          }
        }
      }
    }
  }

  @Test(
    "a chunk of any length reads back, states itself, verifies and is listed",
    arguments: Place.allCases)
  func roundTrip(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      let chunks = Self.lengths.enumerated().map { SampleChunk(UInt64($0), length: $1) }
      for chunk in chunks { try await chunk.put(to: store) }
      for chunk in chunks {
        #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
        #expect(
          try await store.stat(chunk.id)
            == ChunkStatus(header: chunk.header, trailer: chunk.trailer))
        try await store.verify(chunk.id)
      }
      #expect(Set(try await listAll(store)) == Set(chunks.map(\.id)))
    }
  }

  @Test("a record says what space it may take", arguments: Place.allCases)
  func space(_ place: Place) async throws {
    let reserve = 4 * ByteCount.mebibyte
    let files = LossyFileSystem(capacity: reserve)
    let store = try Sample.store(files, reserve: reserve)
    try await Self.withStore(place, store) { store, _ in
      let (plain, logged) = (SampleChunk(1, length: 4096), SampleChunk(2, length: 4096))
      await #expect(throws: ChunkStoreError.full) { try await plain.put(to: store) }
      try await logged.put(to: store, space: .reserve)
      #expect(try await readAll(logged.id, from: store) == logged.bytes)
      await #expect(throws: ChunkStoreError.full) { try await plain.put(to: store) }
    }
  }

  @Test("ranges on checksum boundaries read to any page of the buffer", arguments: Place.allCases)
  func ranges(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      for (number, length) in [130_944, 999_936, 2_500_032].enumerated() {
        let chunk = SampleChunk(UInt64(number), length: length)
        try await chunk.put(to: store)
        let bytes = chunk.bytes
        let reader = try await store.openChunk(chunk.id)
        #expect(reader.trailer == chunk.trailer)
        for start in stride(from: 0, to: length, by: 4 * 65_536) {
          for end in [min(start + 65_536, length), min(start + 6 * 65_536, length), length] {
            let buffer = AlignedBuffer(count: 8192 + ByteCount.roundUp(end - start, to: 4096))
            try await reader.read(start..<end, into: buffer, at: 8192)
            #expect(buffer.bytes(8192..<8192 + end - start) == Array(bytes[start..<end]))
          }
        }
        reader.close()
        await #expect(throws: ChunkStoreError.self) {
          try await reader.read(0..<65_536, into: AlignedBuffer(count: 65_536), at: 0)
        }
      }
    }
  }

  @Test(
    "reads one after the other, side by side and with gaps all give the right bytes",
    arguments: Place.allCases)
  func sequences(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      let chunk = SampleChunk(1, length: 6_000_000)
      try await chunk.put(to: store)
      let bytes = chunk.bytes
      let reader = try await store.openChunk(chunk.id)
      let starts = Array(stride(from: 0, to: chunk.length, by: 262_144))
      @Sendable func check(_ start: Int) async throws {
        let range = start..<min(start + 262_144, chunk.length)
        let buffer = AlignedBuffer(count: range.count)
        try await reader.read(range, into: buffer, at: 0)
        #expect(buffer.bytes(0..<range.count) == Array(bytes[range]))
      }
      for start in starts { try await check(start) }
      for start in starts.reversed() { try await check(start) }
      for start in starts where start % 786_432 != 0 { try await check(start) }
      // Two at a time, as a transfer reads ahead.
      for pair in stride(from: 0, to: starts.count, by: 2) {
        async let first: Void = check(starts[pair])
        async let second: Void = check(starts[min(pair + 1, starts.count - 1)])
        _ = try await (first, second)
      }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for start in starts + starts { group.addTask { try await check(start) } }
        try await group.waitForAll()
      }
      // A read that is given up in the middle does not spoil those beside it.
      let given = Task { try await check(starts[1]) }
      given.cancel()
      _ = await given.result
      for start in starts { try await check(start) }
      reader.close()
    }
  }

  @Test(
    "a chunk that is not there is missing, and deleting it is no error", arguments: Place.allCases)
  func missing(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      let chunk = SampleChunk(1, length: 6400)
      #expect(await failure { try await store.openChunk(chunk.id) } == .missing)
      #expect(await failure { try await store.stat(chunk.id) } == .missing)
      #expect(await failure { try await store.verify(chunk.id) } == .missing)
      try await store.delete([chunk.id, chunk.id])
    }
  }

  @Test("deleted chunks are gone, others stay", arguments: Place.allCases, [6400, 400_000])
  func delete(_ place: Place, _ length: Int) async throws {
    try await Self.withStore(place) { store, _ in
      let chunks = (0..<5).map { SampleChunk($0, length: length / 64 * 64) }
      for chunk in chunks { try await chunk.put(to: store) }
      try await store.delete([chunks[1].id, chunks[3].id])
      for (index, chunk) in chunks.enumerated() {
        let isGone = index == 1 || index == 3
        #expect(await failure { try await store.openChunk(chunk.id) } == (isGone ? .missing : nil))
      }
    }
  }

  @Test("a chunk that is given up leaves nothing", arguments: Place.allCases)
  func abort(_ place: Place) async throws {
    try await Self.withStore(place) { store, local in
      let chunk = SampleChunk(1, length: 1_048_576)
      let writer = try await store.beginChunk(chunk.header)
      try await writer.append(chunk.buffer(), 0..<524_288)
      await writer.abort()
      await #expect(throws: ChunkStoreError.self) { try await writer.finish(chunk.trailer) }
      #expect(await failure { try await store.openChunk(chunk.id) } == .missing)
      try await eventually { (try? await local.sweepUnfinished(limit: 10)) == 0 }
    }
  }

  @Test("a chunk replaces one of the same name", arguments: Place.allCases)
  func replace(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      for length in [6400, 400_000 / 64 * 64, 12_800] {
        let chunk = SampleChunk(1, length: length)
        try await chunk.put(to: store)
        #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
      }
    }
  }

  @Test("a trailer that does not fit the data is refused", arguments: Place.allCases)
  func contradiction(_ place: Place) async throws {
    try await Self.withStore(place) { store, _ in
      let chunk = SampleChunk(1, length: 1_048_576)
      let writer = try await store.beginChunk(chunk.header)
      try await writer.append(chunk.buffer(), 0..<262_144)
      let error = await failure { try await writer.finish(chunk.trailer) }
      guard case .tooLarge = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      await writer.abort()
      #expect(await failure { try await store.openChunk(chunk.id) } == .missing)
    }
  }

  @Test("a store tells how it is", arguments: Place.allCases)
  func health(_ place: Place) async throws {
    try await Self.withStore(place) { store, local in
      // A server on a busy machine may miss the time that an answer has.
      var health = await store.health()
      while health.state == .offline {
        try await Task.sleep(for: .milliseconds(50))
        health = await store.health()
      }
      #expect(health.state == .active)
      #expect(health.capacity == (await local.health()).capacity)
    }
  }

  @Test("pages of any size name each chunk once", arguments: Place.allCases, [1, 3, 100, 10_000])
  func pages(_ place: Place, _ limit: Int) async throws {
    try await Self.withStore(place) { store, _ in
      let chunks = (0..<40).map { SampleChunk($0, length: $0 % 5 == 0 ? 131_136 : 640) }
      for chunk in chunks { try await chunk.put(to: store) }
      let names = try await listAll(store, limit: limit)
      #expect(names.count == 40 && Set(names) == Set(chunks.map(\.id)))
    }
  }
}
