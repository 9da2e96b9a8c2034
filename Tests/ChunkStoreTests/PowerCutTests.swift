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
