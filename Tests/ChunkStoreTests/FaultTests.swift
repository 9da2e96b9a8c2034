import Base
import ChunkStore
import Disk
import Runtime
import TestSupport
import Testing

@Suite struct FaultTests {
  private let small = SampleChunk(1, length: 6400)
  private let large = SampleChunk(2, length: 400_000)
  private let other = SampleChunk(3, length: 64_000)

  /// Whether an error says that the store takes no writes any more.
  private func isFenced(_ error: ChunkStoreError?) -> Bool {
    if case .fenced = error { true } else { false }
  }

  private func isOffline(_ error: ChunkStoreError?) -> Bool {
    if case .offline = error { true } else { false }
  }

  @Test(
    "a failed sync fences the store for good, and it reads on",
    arguments: [
      (DiskError.Operation.sync, "volume"), (.sync, "chunk file"),
      (.syncDirectory, "chunk directory"), (.syncDirectory, "volume directory"),
    ] as [(DiskError.Operation, DiskPath.Kind)])
  func fencing(operation: DiskError.Operation, kind: DiskPath.Kind) async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    // Something to read that is older than the fault; a directory sync comes with a new volume.
    let isNewVolume = kind == "volume directory"
    let kept = isNewVolume ? large : small
    try await kept.put(to: store)
    system.inject(LossyFileSystem.Fault(operation, on: kind, times: 1))
    let victim = kind == "volume" || isNewVolume ? other : SampleChunk(9, length: 300_032)
    #expect(isFenced(await failure { try await victim.put(to: store) }))
    let syncs = system.syncCount(kind)
    // The disk works again, and the store does not believe it.
    for chunk in [small, large, other] {
      #expect(isFenced(await failure { try await chunk.put(to: store) }))
    }
    #expect(isFenced(await failure { try await store.delete([kept.id]) }))
    #expect(system.syncCount(kind) == syncs)
    #expect(try await readAll(kept.id, from: store) == kept.bytes)
    let health = await store.health()
    #expect(health.state == .fenced && !health.reason.isEmpty)
    // What failed may be there all the same when only its name is in doubt.
    let found = try? await readAll(victim.id, from: store)
    #expect(found == nil || (kind == "chunk directory" && found == victim.bytes))
  }

  @Test("a device error on a write fences the store", arguments: ["volume", "chunk file"])
  func writeError(kind: String) async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    try await small.put(to: store)
    system.inject(.init(.write, on: DiskPath.Kind(stringLiteral: kind), times: 1))
    let victim = kind == "volume" ? other : large
    #expect(isFenced(await failure { try await victim.put(to: store) }))
    #expect(try await readAll(small.id, from: store) == small.bytes)
  }

  @Test("a read error concerns that read only")
  func readError() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    try await large.put(to: store)
    system.inject(.init(.read, times: 1))
    #expect(await failure { try await readAll(large.id, from: store) } != nil)
    #expect(try await readAll(large.id, from: store) == large.bytes)
    #expect(await store.health().state == .active)
  }

  @Test("writes stop at the reserve, deletes go on, and then writes go on")
  func reserve() async throws {
    let system = LossyFileSystem(capacity: 8 * ByteCount.mebibyte)
    var options = StoreHarness.smallOptions
    options.reserveBytes = 4 * ByteCount.mebibyte
    let store = try StoreHarness(system, options: options).createAndOpen()
    var written: [SampleChunk] = []
    var error: ChunkStoreError?
    for number in UInt64(0)..<40 where error == nil {
      let chunk = SampleChunk(number, length: 300_032)
      error = await failure { try await chunk.put(to: store) }
      if error == nil { written.append(chunk) }
    }
    #expect(error == .full)
    #expect(await store.health().state == .full)
    #expect(await failure { try await other.put(to: store) } == .full)
    #expect(await failure { try await store.beginChunk(large.header) } == .full)
    #expect(await store.health().free >= 3 * ByteCount.mebibyte)
    try await store.delete(written.prefix(4).map(\.id))
    #expect(await store.health().state == .active)
    try await other.put(to: store)
    for chunk in written.dropFirst(4) + [other] {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
  }

  @Test("records for the reserve get in until half of it is left, and nothing else does")
  func halfTheReserve() async throws {
    let system = LossyFileSystem(capacity: 8 * ByteCount.mebibyte)
    var options = StoreHarness.smallOptions
    options.reserveBytes = 4 * ByteCount.mebibyte
    let store = try StoreHarness(system, options: options).createAndOpen()
    var error: ChunkStoreError?
    for number in UInt64(0)..<200 where error == nil {
      error = await failure { try await SampleChunk(number, length: 60_032).put(to: store) }
    }
    #expect(error == .full)
    error = nil
    var written: [SampleChunk] = []
    for number in UInt64(1000)..<1200 where error == nil {
      let chunk = SampleChunk(number, length: 60_032)
      error = await failure { try await chunk.put(to: store, space: .reserve) }
      if error == nil { written.append(chunk) }
    }
    #expect(error == .full)
    #expect(written.count > 20)
    let free = await store.health().free
    #expect(free >= 2 * ByteCount.mebibyte && free < 3 * ByteCount.mebibyte)
    #expect(await failure { try await other.put(to: store) } == .full)
    #expect(await failure { try await store.beginChunk(large.header) } == .full)
    // The store's own housekeeping goes on, so that the space of deleted records comes back.
    for chunk in written {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
    try await store.checkpoint(always: true)
    try await store.delete(written.map(\.id))
    while try await store.compactStep() {}
    try await store.checkpoint(always: true)
    try await other.put(to: store, space: .reserve)
    #expect(try await readAll(other.id, from: store) == other.bytes)
  }

  @Test("a disk that is full all the same gives an error, and the store goes on when it is not")
  func noSpace() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    try await small.put(to: store)
    for chunk in [other, large] {
      system.inject(.init(.write, times: 1, code: .noSpace))
      #expect(await failure { try await chunk.put(to: store) } == .full)
      #expect(await failure { try await readAll(chunk.id, from: store) } == .missing)
    }
    system.setCapacity(system.state(of: "/store").used + 100_000)
    #expect(await failure { try await large.put(to: store) } == .full)
    system.setCapacity(1 << 40)
    for chunk in [other, large] { try await chunk.put(to: store) }
    for chunk in [small, other, large] {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
    // Nothing of it confuses a store that knows the disk only.
    let crashed = system.afterCrash()
    try crashed.syncDirectory(DiskPath("/store/volumes", kind: "directory"))
    let reopened = try StoreHarness(crashed).open()
    for chunk in [small, other, large] {
      #expect(try await readAll(chunk.id, from: reopened) == chunk.bytes)
    }
  }

  @Test("a directory that vanishes takes the store offline; nothing is made anew")
  func vanishing() async throws {
    for area in ["/store", "/store/chunks", "/store/volumes"] {
      let system = LossyFileSystem()
      let store = try StoreHarness(system).createAndOpen()
      try await small.put(to: store)
      try await large.put(to: store)
      system.vanish(area)
      if area == "/store" {
        #expect(await store.health().state == .offline)
        #expect(isOffline(await failure { try await readAll(large.id, from: store) }))
        #expect(isOffline(await failure { try await other.put(to: store) }))
        #expect(isOffline(await failure { try await store.delete([small.id]) }))
        #expect((try? system.status(DiskPath("/store", kind: "store"))) == nil)
      } else {
        // A part that is gone is an error of some kind for whatever needs it.
        let needy = area == "/store/chunks" ? SampleChunk(8, length: 300_032) : nil
        if let needy { #expect(await failure { try await needy.put(to: store) } != nil) }
        #expect(await failure { try StoreHarness(system.afterCrash()).open() } != nil)
      }
    }
  }

  @Test("a volume that is removed while in use takes the store offline at the next write")
  func removedVolume() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    try await small.put(to: store)
    try system.delete(DiskPath("/store/volumes/00000001", kind: "volume"))
    #expect(isOffline(await failure { try await other.put(to: store) }))
  }

  @Test("a file system that turns read-only is read on")
  func readOnly() async throws {
    let system = LossyFileSystem()
    let store = try StoreHarness(system).createAndOpen()
    try await small.put(to: store)
    try await large.put(to: store)
    system.setReadOnly(true)
    #expect(isFenced(await failure { try await other.put(to: store) }))
    #expect(isFenced(await failure { try await store.delete([small.id]) }))
    #expect(await store.health().state == .fenced)
    for chunk in [small, large] {
      #expect(try await readAll(chunk.id, from: store) == chunk.bytes)
    }
  }

  @Test("puts at the same time share syncs")
  func groupCommit() async throws {
    let directory = TemporaryDirectory()
    let inner = SystemFileSystem()
    let system = SlowSyncs(inner)
    let store = try StoreHarness(system, directory: directory.path + "/store").createAndOpen()
    let before = system.count
    let chunks = (UInt64(0)..<64).map { SampleChunk($0, length: 4096) }
    try await withThrowingTaskGroup { group in
      for chunk in chunks {
        group.addTask(executorPreference: blockingPool) { try await chunk.put(to: store) }
      }
      try await group.waitForAll()
    }
    // While one sync runs, all others gather: 64 puts need a few, alone they need 64.
    #expect(system.count - before < 32)
    for chunk in chunks { #expect(try await readAll(chunk.id, from: store) == chunk.bytes) }
  }

  @Test("finishes at the same time share syncs of their directory")
  func groupFinish() async throws {
    let directory = TemporaryDirectory()
    let system = SlowSyncs(SystemFileSystem())
    let store = try StoreHarness(system, directory: directory.path + "/store").createAndOpen()
    let chunks = (UInt64(0)..<32).map { SampleChunk($0, length: 140_032) }
    let before = system.directoryCount
    try await withThrowingTaskGroup { group in
      for chunk in chunks {
        group.addTask(executorPreference: blockingPool) { try await chunk.put(to: store) }
      }
      try await group.waitForAll()
    }
    #expect(system.directoryCount - before < 24)
    for chunk in chunks { #expect(try await readAll(chunk.id, from: store) == chunk.bytes) }
  }
}

extension LossyFileSystem {
  func state(of path: String) -> SpaceStatus {
    (try? space(DiskPath(path, kind: "store")))
      ?? SpaceStatus(capacity: 0, free: 0, used: 0, isReadOnly: false)
  }
}
