import Base
import Foundation
import Metadata
import MetadataSQLite
import Runtime
import SQLite
import Synchronization
import Testing

@Suite("Power cuts, kills and failing syncs")
struct PowerCutTests {
  /// What was acknowledged when an image was taken, and the image.
  private struct Moment: Sendable {
    var acknowledged: Set<String>
    var image: LossyFileSystem.Image
  }

  private final class Record: Sendable {
    private let state = Mutex<(acknowledged: Set<String>, moments: [Moment])>(([], []))

    var moments: [Moment] { state.withLock { $0.moments } }

    func acknowledge(_ key: String) -> Set<String> {
      state.withLock { state in
        state.acknowledged.insert(key)
        return state.acknowledged
      }
    }

    /// `image` was taken when at least `acknowledged` were.
    func keep(_ image: LossyFileSystem.Image, _ acknowledged: Set<String>? = nil) {
      state.withLock { state in
        state.moments.append(
          Moment(acknowledged: acknowledged ?? state.acknowledged, image: image))
      }
    }
  }

  private func run(
    synchronous: Connection.Synchronous, everyChange: Bool, seed: UInt64,
    dropping dropped: Set<LossyFileSystem.Sync> = []
  ) async throws -> [Moment] {
    let system = LossyFileSystem()
    system.state.withLock { $0.dropped = dropped }
    var options = SQLiteOptions()
    options.fileSystem = system.name
    options.synchronous = synchronous
    // Often, so that cuts fall into checkpoints too.
    options.checkpointPages = 40
    // A writer that nobody keeps busy puts all of the log into the database, whose sync is then the
    // only one that counts: on a busy machine that would be before each cut.
    if !dropped.isEmpty { options.idleMilliseconds = 3_600_000 }
    let fixture = try await Fixture(options: options)
    let bucket = try await fixture.bucket()
    let record = Record()
    let random = SeededRandom(seed: seed)
    if everyChange {
      system.state.withLock { state in
        state.whenChanged = { image in record.keep(image) }
      }
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for index in 0..<(everyChange ? 2 : 12) {
            let key = "\(task)-\(index)"
            let commit =
              index % 2 == 0
              ? fixture.inlineCommit(bucket, .init(key: key), size: 3000)
              : fixture.extentCommit(bucket, .init(key: key), extents: [fixture.extent(9)])
            _ = try await fixture.store.commit(commit)
            let known = record.acknowledge(key)
            if !everyChange { record.keep(system.cut { random.next() % 2 == 0 }, known) }
          }
        }
      }
      try await group.waitForAll()
    }
    system.state.withLock { $0.whenChanged = nil }
    await fixture.metadata.close()
    // After the end, which empties the log and removes it.
    if !everyChange { record.keep(system.cut { random.next() % 2 == 0 }) }
    return record.moments
  }

  /// How many acknowledged commits an image lost; checks that the rest is whole.
  private func lost(_ moment: Moment) async throws -> Int {
    let directory = Fixture.makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try LossyFileSystem.restore(moment.image, into: directory)
    let metadata = try await SQLiteMetadata.open(
      path: directory + "/metadata.sqlite", pool: Fixture.pool)
    var lost = 0
    for key in moment.acknowledged {
      let found = try await metadata.store.lookUp(
        bucket: "bucket", tenant: 1, key: .init(key: key), versionID: nil, withContent: true)
      guard let version = found.version else {
        lost += 1
        continue
      }
      let links = try await metadata.store.extents(of: version.number, in: 0..<9)
      #expect((version.inline != nil) != (links.count == 1))
    }
    let counts = try await metadata.store.counts()
    #expect(counts.objects == counts.versions)
    #expect(counts.versions == counts.inlineObjects + counts.extents)
    #expect(try await metadata.driver.quickCheck().isEmpty)
    await metadata.close()
    return lost
  }

  @Test("what was acknowledged survives a power cut at any moment", arguments: [1, 2] as [UInt64])
  func powerCut(seed: UInt64) async throws {
    print("power cut test: seed \(seed)")
    let moments = try await run(synchronous: .full, everyChange: false, seed: seed)
    #expect(moments.count == 97)
    for moment in moments { #expect(try await lost(moment) == 0) }
  }

  @Test("without syncs the same cuts lose acknowledged commits: the test can fail")
  func mutant() async throws {
    #expect(
      try await losesAny(try await run(synchronous: .off, everyChange: false, seed: 3).suffix(40)))
  }

  @Test(
    "without one kind of sync acknowledged commits are lost",
    arguments: [LossyFileSystem.Sync.log, .database, .directory])
  func mutants(sync: LossyFileSystem.Sync) async throws {
    let moments = try await run(
      synchronous: .full, everyChange: false, seed: 5, dropping: [sync])
    #expect(try await losesAny(moments[...]))
  }

  /// What these two protect is not at stake here. The journal is used once, for the switch to a log
  /// of a database that has nothing yet which it could bring back. A log is removed when all of it
  /// is in the database and synced, so that one that comes back repeats what is there; before
  /// another is begun under its name, its directory is synced. They are SQLite's own and stay.
  @Test(
    "neither the journal's sync nor that of a removal is needed for what was acknowledged",
    arguments: [LossyFileSystem.Sync.journal, .removal])
  func needless(sync: LossyFileSystem.Sync) async throws {
    let moments = try await run(
      synchronous: .full, everyChange: false, seed: 6, dropping: [sync])
    for moment in moments { #expect(try await lost(moment) == 0) }
  }

  private func losesAny(_ moments: ArraySlice<Moment>) async throws -> Bool {
    var lostAny = false
    for moment in moments {
      // Without syncs a file may even be no database any more.
      guard let count = try? await lostUnchecked(moment) else {
        lostAny = true
        continue
      }
      if count > 0 { lostAny = true }
    }
    return lostAny
  }

  private func lostUnchecked(_ moment: Moment) async throws -> Int {
    let directory = Fixture.makeDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try LossyFileSystem.restore(moment.image, into: directory)
    let metadata = try await SQLiteMetadata.open(
      path: directory + "/metadata.sqlite", pool: Fixture.pool)
    var lost = 0
    for key in moment.acknowledged {
      let found = try? await metadata.store.lookUp(
        bucket: "bucket", tenant: 1, key: .init(key: key), versionID: nil, withContent: false)
      if found?.version == nil { lost += 1 }
    }
    await metadata.close()
    return lost
  }

  @Test("a process killed at any write, those of a commit included, leaves whole transactions")
  func kill() async throws {
    let moments = try await run(synchronous: .full, everyChange: true, seed: 4)
    #expect(moments.count > 20)
    for moment in moments { #expect(try await lost(moment) == 0) }
  }

  @Test("many commits share a sync")
  func groupCommit() async throws {
    let system = LossyFileSystem()
    var options = SQLiteOptions()
    options.fileSystem = system.name
    let fixture = try await Fixture(options: options)
    let bucket = try await fixture.bucket()
    let before = system.syncs
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<200 {
        group.addTask {
          _ = try await fixture.store.commit(
            fixture.inlineCommit(bucket, .init(key: "k\(index)")))
        }
      }
      try await group.waitForAll()
    }
    let syncs = system.syncs - before
    #expect(syncs > 0 && syncs < 200)
    await fixture.metadata.close()
  }

  @Test("after a failed sync the outcome is unknown and nothing is written any more")
  func failingSync() async throws {
    let system = LossyFileSystem()
    var options = SQLiteOptions()
    options.fileSystem = system.name
    let fixture = try await Fixture(options: options)
    let bucket = try await fixture.bucket()
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "kept")))
    system.state.withLock { $0.failsSyncs = true }
    await #expect(throws: MetadataError.unknownOutcome) {
      try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "doubtful")))
    }
    system.state.withLock { $0.failsSyncs = false }
    let syncs = system.syncs
    await #expect {
      try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "refused")))
    } throws: { error in
      guard case .unavailable = error as? MetadataError else { return false }
      return true
    }
    #expect(system.syncs == syncs)
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "kept"), versionID: nil, withContent: true)
    #expect(found.version?.inline != nil)
    await fixture.metadata.close()
    #expect(system.syncs == syncs)
    let again = try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    let kept = try await again.store.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "kept"), versionID: nil, withContent: true)
    #expect(kept.version != nil)
    #expect(try await again.driver.quickCheck().isEmpty)
    await again.close()
  }
}
