import Base
import ChunkStore
import Disk
import Glibc
import Runtime
import TestSupport
import Testing

@Suite struct PowerCutTests {
  @Test("after a power cut what was acknowledged is there, and what was deleted stays away")
  func powerCuts() async throws {
    let first = SystemRandom().next() % 1_000_000_000
    // More of them for a soak.
    let count = getenv("S3STORAGE_TEST_SEEDS").flatMap { UInt64(String(cString: $0)) } ?? 100
    for seed in [1, 2, 3] + (first..<first + count) {
      let complaints = try await withTaskExecutorPreference(blockingPool) {
        try await PowerCutModel.run(seed: seed)
      }
      #expect(complaints == [])
      if !complaints.isEmpty { return }
    }
  }

  @Test("many tasks at once: what each was told is true after a power cut")
  func concurrentPowerCuts() async throws {
    let first = SystemRandom().next() % 1_000_000_000
    for seed in first..<first + 25 {
      let random = SeededRandom(seed: seed)
      let system = LossyFileSystem()
      try StoreHarness(system).create()
      let store = try StoreHarness(system).open()
      system.cutPower(afterChanges: Int(random.next() % 150))
      let told = await withTaskGroup { group in
        for number in UInt64(0)..<40 {
          let chunk = SampleChunk(number, length: number % 8 == 0 ? 140_032 : 6400)
          let isDeleted = number % 3 == 0
          group.addTask(executorPreference: blockingPool) {
            guard await failure(of: { try await chunk.put(to: store) }) == nil else {
              return (chunk, nil as Bool?)
            }
            guard isDeleted else { return (chunk, true) }
            let error = await failure { try await store.delete([chunk.id]) }
            return (chunk, error == nil ? false : nil)
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      let reopened = try StoreHarness(system.afterPowerCut(random)).open()
      for (chunk, isThere) in told {
        let error = await failure { try await readAll(chunk.id, from: reopened) }
        switch isThere {
        case true: #expect(error == nil, "seed \(seed)")
        case false: #expect(error == .missing, "seed \(seed)")
        default: #expect(error == nil || error == .missing, "seed \(seed)")
        }
        if error == nil {
          #expect(try await readAll(chunk.id, from: reopened) == chunk.bytes, "seed \(seed)")
        }
      }
    }
  }

  @Test("without the sync of the index nothing is lost: the volumes are read instead")
  func indexSync() async throws {
    for seed in UInt64(1)...10 {
      let complaints = try await withTaskExecutorPreference(blockingPool) {
        try await PowerCutModel.run(seed: seed, ignoresSync: { $0.kind == "volume index" })
      }
      #expect(complaints == [])
    }
  }

  /// The syncs of a store without which something would be lost, by the places that they are for.
  enum Sync: String, CaseIterable, CustomTestStringConvertible {
    case chunkFile
    case epochDirectory
    case chunksDirectory
    case volume
    case volumesDirectory

    var testDescription: String { rawValue }

    func covers(_ path: DiskPath) -> Bool {
      switch self {
      case .chunkFile: path.kind == "chunk file"
      case .epochDirectory: path.text.hasPrefix("/store/chunks/")
      case .chunksDirectory: path.text == "/store/chunks"
      case .volume: path.kind == "volume"
      case .volumesDirectory: path.text == "/store/volumes"
      }
    }
  }

  @Test("without any one of the syncs something is lost", arguments: Sync.allCases)
  func mutants(_ sync: Sync) async throws {
    var isCaught = false
    for seed in UInt64(1)...400 where !isCaught {
      do {
        let complaints = try await withTaskExecutorPreference(blockingPool) {
          try await PowerCutModel.run(seed: seed, ignoresSync: { sync.covers($0) })
        }
        isCaught = !complaints.isEmpty
      } catch {
        // A store that cannot be opened any more has lost all.
        isCaught = true
      }
    }
    #expect(isCaught)
  }
}
