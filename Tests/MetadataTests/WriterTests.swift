import Base
import Foundation
import Metadata
import MetadataSQLite
import SQLite
import Synchronization
import Testing

@Suite("The one writer")
struct WriterTests {
  private static let insert = SQLStatement("INSERT INTO settings(name, value) VALUES($1, $2)")

  @Test(
    "of 100 tasks that ask for an absent key exactly one wins", arguments: DatabaseKind.available)
  func oneWins(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let bucket = try await fixture.bucket()
    let outcomes = await withTaskGroup(of: Result<Void, any Error>.self) { group in
      for _ in 0..<100 {
        group.addTask {
          let commit = fixture.inlineCommit(bucket, .init(key: "k"), condition: .absent)
          do {
            _ = try await fixture.store.commit(commit)
            return .success(())
          } catch {
            return .failure(error)
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    var wins = 0
    for outcome in outcomes {
      switch outcome {
      case .success: wins += 1
      case .failure(let error):
        #expect(error as? MetadataError == .preconditionFailed)
      }
    }
    #expect(wins == 1)
    #expect(try await fixture.store.counts().versions == 1)
    await fixture.close()
  }

  @Test("compare and swap by version loses no update", arguments: DatabaseKind.available)
  func compareAndSwap(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind)
    let bucket = try await fixture.bucket()
    let key = [UInt8](key: "counter")
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, key, size: 0))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<20 {
        group.addTask {
          while true {
            let found = try await fixture.store.lookUp(
              bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
            guard let version = found.version else { return }
            var commit = fixture.inlineCommit(
              bucket, key, size: version.size + 1, condition: .version(version.number))
            commit.size = version.size + 1
            do {
              _ = try await fixture.store.commit(commit)
              return
            } catch MetadataError.preconditionFailed {
              continue
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
    #expect(found.version?.size == 20)
    #expect(try await fixture.store.usage(of: bucket.id) == Usage(objects: 1, bytes: 20))
    await fixture.close()
  }

  /// Holds the writer until all of `count` mutations wait, so that they are one batch.
  private func batch<T: Sendable>(
    _ fixture: Fixture, _ bodies: [@Sendable () async throws -> T]
  ) async throws -> [Result<T, any Error>] {
    let gate = DispatchSemaphore(value: 0)
    let hold = Flag()
    return try await withThrowingTaskGroup(of: (Int, Result<T, any Error>).self) { group in
      group.addTask {
        // Blocks the writer's thread inside a transaction, which is what a slow sync does.
        try await fixture.metadata.driver.write(cost: 1) { _ in
          hold.raise()
          wait(gate)
        }
        return (-1, .failure(CancellationError()))
      }
      while !hold.isRaised { try await Task.sleep(for: .zero) }
      for (index, body) in bodies.enumerated() {
        group.addTask {
          do { return (index, .success(try await body())) } catch {
            return (index, .failure(error))
          }
        }
      }
      while fixture.metadata.driver.waiting < bodies.count { try await Task.sleep(for: .zero) }
      gate.signal()
      var results: [Int: Result<T, any Error>] = [:]
      for try await (index, result) in group { results[index] = result }
      return (0..<bodies.count).compactMap { results[$0] }
    }
  }

  @Test("mutations that wait together are one transaction with one usage row for a bucket")
  func batching() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let before = fixture.metadata.driver.commits
    let results = try await batch(
      fixture,
      (0..<50).map { index in
        { try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "k\(index)"))) }
      })
    #expect(results.count == 50)
    for result in results { _ = try result.get() }
    let after = fixture.metadata.driver.commits
    // The one that held the writer, and the batch.
    #expect(after.transactions - before.transactions <= 3)
    #expect(after.mutations - before.mutations == 51)
    #expect(try await fixture.store.foldUsage(limit: 100) <= 2)
    #expect(try await fixture.store.usage(of: bucket.id) == Usage(objects: 50, bytes: 250))
    await fixture.close()
  }

  @Test("a mutation that fails after it wrote takes nothing of its batch with it")
  func failureInBatch() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let driver = fixture.metadata.driver
    let results = try await batch(
      fixture,
      (0..<9).map { index in
        {
          guard index % 3 == 1 else {
            _ = try await fixture.store.commit(
              fixture.inlineCommit(bucket, .init(key: "k\(index)")))
            return
          }
          try await driver.write(cost: 1) { session in
            try await session.run(Self.insert, [.text("lost\(index)"), .bytes([1])])
            // The second row of that name violates the primary key.
            try await session.run(Self.insert, [.text("lost\(index)"), .bytes([2])])
          }
        }
      })
    for (index, result) in results.enumerated() {
      #expect((try? result.get()) != nil || index % 3 == 1)
    }
    #expect(try await fixture.store.counts().objects == 6)
    #expect(try await fixture.store.setting("lost1") == nil)
    #expect(try await fixture.store.setting("lost4") == nil)
    await fixture.close()
  }

  @Test("a single mutation that fails after it wrote leaves nothing")
  func failureAlone() async throws {
    let fixture = try await Fixture()
    await #expect(throws: MetadataError.notFound("x")) {
      try await fixture.metadata.driver.write(cost: 1) { session in
        try await session.run(Self.insert, [.text("lost"), .bytes([1])])
        throw MetadataError.notFound("x")
      }
    }
    #expect(try await fixture.store.setting("lost") == nil)
    try await fixture.store.setSetting("kept", [1])
    #expect(try await fixture.store.setting("kept") == [1])
    await fixture.close()
  }

  @Test("a full database says so, changes nothing, and takes writes again when there is room")
  func full() async throws {
    var options = SQLiteOptions()
    options.maximumPages = 220
    let directory = Fixture.makeDirectory()
    let fixture = try await Fixture(directory: directory, options: options)
    let bucket = try await fixture.bucket()
    var kept = 0
    var failure: MetadataError?
    while failure == nil && kept < 1000 {
      do {
        _ = try await fixture.store.commit(
          fixture.inlineCommit(bucket, .init(key: "k\(kept)"), size: 4000))
        kept += 1
      } catch {
        failure = error as? MetadataError
      }
    }
    #expect(failure == .full)
    #expect(kept > 10)
    let counts = try await fixture.store.counts()
    #expect(counts.versions == Int64(kept) && counts.objects == Int64(kept))
    for index in 0..<5 {
      let deleted = try await fixture.store.delete(
        bucket: bucket.id, key: .init(key: "k\(index)"), versionID: nil, condition: .none)
      #expect(deleted.existed)
    }
    _ = try await fixture.store.commit(
      fixture.inlineCommit(bucket, .init(key: "again"), size: 4000))
    #expect(try await fixture.quickCheck().isEmpty)
    await fixture.close()
  }

  @Test("a later writer fences the one before, which writes nothing any more")
  func fencing() async throws {
    let fixture = try await Fixture()
    let bucket = try await fixture.bucket()
    let later = SQLMetadataStore(driver: fixture.metadata.driver)
    let lease = try await later.beginWriter(minimum: 40, ringVersion: 0)
    #expect(lease.epoch == 41)
    await #expect(throws: MetadataError.fenced) {
      try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    }
    await #expect(throws: MetadataError.fenced) {
      try await fixture.store.renewWriter(oldestRead: nil)
    }
    // What was made under the former epoch is none of the later writer's.
    await #expect(throws: MetadataError.fenced) {
      try await later.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    }
    var commit = fixture.inlineCommit(bucket, .init(key: "k"))
    commit.version = fixture.opaqueID(epoch: lease.epoch)
    _ = try await later.commit(commit)
    try await later.renewWriter(oldestRead: nil)
    #expect(try await later.unsweptEpochs() == [1])
    try await later.markSwept(epoch: 1)
    #expect(try await later.unsweptEpochs().isEmpty)
    try await later.endWriter()
    commit.version = fixture.opaqueID(epoch: lease.epoch)
    let last = commit
    await #expect(throws: MetadataError.fenced) {
      try await later.commit(last)
    }
    #expect(try await later.unsweptEpochs().isEmpty)
    await fixture.close()
  }

  @Test("what is asked for after the end fails, and the file is free")
  func closing() async throws {
    let fixture = try await Fixture()
    await #expect(throws: MetadataError.self) {
      try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    }
    await fixture.close()
    await #expect(throws: MetadataError.unavailable("the metadata database is closed")) {
      try await fixture.bucket()
    }
    await #expect(throws: MetadataError.unavailable("the metadata database is closed")) {
      try await fixture.store.setting("x")
    }
    let again = try await SQLiteMetadata.open(path: fixture.path, pool: Fixture.pool)
    await again.close()
  }
}

private final class Flag: Sendable {
  private let state = Mutex(false)
  var isRaised: Bool { state.withLock { $0 } }
  func raise() { state.withLock { $0 = true } }
}

private func wait(_ gate: DispatchSemaphore) { gate.wait() }
