import Base
import ChunkStore
import Disk
import Foundation
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("A store that comes back")
struct ReturningStoreTests {
  private final class Returns: Sendable {
    let count = Atomic(0)
  }

  /// Runs a store of a directory that `body` may move about.
  private func withStore(
    _ body: (ReturningChunkStore, String, Returns) async throws -> Void
  ) async throws {
    let temporary = TemporaryDirectory()
    let directory = temporary.path + "/store"
    let harness = StoreHarness(
      SystemFileSystem(unsafeSkipsSyncs: true), directory: directory)
    let returns = Returns()
    let store = ReturningChunkStore(
      StoreHarness.storeID, try harness.createAndOpen(), interval: .milliseconds(20),
      onReturn: { _ in returns.count.add(1, ordering: .relaxed) },
      reopen: { () throws(ChunkStoreError) in
        try LocalChunkStore.open(
          directory: directory, fileSystem: harness.fileSystem, cluster: StoreHarness.cluster,
          store: StoreHarness.storeID, options: harness.options)
      })
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask(executorPreference: blockingPool) { await store.run() }
      let result: Result<Void, any Error>
      do { result = .success(try await body(store, directory, returns)) } catch {
        result = .failure(error)
      }
      await store.shutdown()
      group.cancelAll()
      try await group.waitForAll()
      try result.get()
    }
  }

  private func isOffline(_ store: ReturningChunkStore) async -> Bool {
    await store.health().state == .offline
  }

  @Test("its chunks are there again, and it takes others, when its directory is back")
  func back() async throws {
    try await withStore { store, directory, returns in
      let chunks = [6400, 400_000].map { SampleChunk(UInt64($0), length: $0) }
      for chunk in chunks { try await chunk.put(to: store) }
      for turn in 1...3 {
        try FileManager.default.moveItem(atPath: directory, toPath: directory + "-away")
        try await eventually { await isOffline(store) && !store.isPresent }
        await #expect(throws: ChunkStoreError.self) { try await chunks[0].put(to: store) }
        #expect(!FileManager.default.fileExists(atPath: directory))
        try FileManager.default.moveItem(atPath: directory + "-away", toPath: directory)
        try await eventually { await !isOffline(store) }
        #expect(returns.count.load(ordering: .relaxed) == turn)
        for chunk in chunks { try await store.verify(chunk.id) }
        try await SampleChunk(UInt64(turn), length: 6400).put(to: store)
      }
    }
  }

  @Test("a reader that is open keeps the lock: the store is back when it is done")
  func readers() async throws {
    try await withStore { store, directory, returns in
      let chunk = SampleChunk(1, length: 400_000)
      try await chunk.put(to: store)
      var reader: (any ChunkReader)? = try await store.openChunk(chunk.id)
      try FileManager.default.moveItem(atPath: directory, toPath: directory + "-away")
      try await eventually { await isOffline(store) && !store.isPresent }
      try FileManager.default.moveItem(atPath: directory + "-away", toPath: directory)
      try await eventually { await store.health().reason.contains("locked") }
      #expect(returns.count.load(ordering: .relaxed) == 0)
      reader?.close()
      reader = nil
      try await eventually { await !isOffline(store) }
      try await store.verify(chunk.id)
    }
  }

  @Test(
    "an empty directory in its place, or another store, is left alone", arguments: [true, false])
  func foreign(_ isEmpty: Bool) async throws {
    try await withStore { store, directory, returns in
      try FileManager.default.moveItem(atPath: directory, toPath: directory + "-away")
      try await eventually { await isOffline(store) && !store.isPresent }
      if isEmpty {
        try FileManager.default.createDirectory(
          atPath: directory, withIntermediateDirectories: false)
      } else {
        try LocalChunkStore.create(
          directory: directory, fileSystem: SystemFileSystem(unsafeSkipsSyncs: true),
          cluster: StoreHarness.cluster, store: StoreID(high: 9, low: 9))
      }
      let reason = isEmpty ? "is it mounted" : "another store"
      try await eventually { await store.health().reason.contains(reason) }
      #expect(returns.count.load(ordering: .relaxed) == 0)
      #expect(await isOffline(store))
    }
  }
}
