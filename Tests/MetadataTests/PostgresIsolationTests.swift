import Base
import Foundation
import Metadata
import MetadataPostgres
import Synchronization
import TestSupport
import Testing

/// What several gateways do to one database at the same time.
@Suite("Transactions side by side", .enabled(if: PostgresServer.isInstalled))
struct PostgresIsolationTests {
  private static let touch = SQLStatement(
    "INSERT INTO settings(name, value) VALUES($1, $2)")

  /// A transaction of a writer that has checked everything and waits before its commit.
  private func hold(
    _ store: SQLMetadataStore, _ bucket: Bucket, _ body: () async throws -> Void
  ) async throws {
    let held = AsyncStream<Void>.makeStream()
    let release = AsyncStream<Void>.makeStream()
    let lockWriter = SQLStatement("SELECT state FROM writers WHERE epoch = 1 @share")
    let lockBucket = SQLStatement("SELECT versioning FROM buckets WHERE id = $1 @share")
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await store.driver.write(cost: 1) { session in
          _ = try await session.query(lockWriter, [])
          _ = try await session.query(lockBucket, [.int(bucket.id.number)])
          held.continuation.yield()
          for await _ in release.stream { break }
          _ = try await session.run(Self.touch, [.text("committed"), .bytes([1])])
        }
      }
      for await _ in held.stream { break }
      try await body()
      release.continuation.yield()
      try await group.waitForAll()
    }
  }

  /// Waits until some transaction waits for a lock.
  private func awaitBlocked(_ server: PostgresServer, _ name: String) async throws {
    while true {
      let rows = try await TestDatabases.run(
        server,
        """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = '\(name)' AND wait_event_type = 'Lock'
        """)
      if rows.rows[0][0] != "0" { return }
      try await Task.sleep(for: .milliseconds(2))
    }
  }

  @Test("a fence waits for commits under way, and a renewal does not")
  func fence() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    guard case .postgres(_, let server, let name) = fixture.database else { return }
    let bucket = try await fixture.bucket()
    let store = fixture.store
    let fence = SQLStatement("UPDATE writers SET state = 1 WHERE epoch = 1 AND state = 0")
    let fences = Count()
    try await withThrowingTaskGroup(of: Void.self) { group in
      try await hold(store, bucket) {
        // Returns although the transaction holds the row.
        try await store.renewWriter(oldestRead: nil)
        group.addTask {
          try await store.driver.write(cost: 1) { session in
            _ = try await session.run(fence, [])
            fences.add()
          }
        }
        try await awaitBlocked(server, name)
        #expect(fences.value == 0)
      }
      #expect(try await store.setting("committed") == [1])
      try await group.waitForAll()
    }
    #expect(fences.value == 1)
    await #expect(throws: MetadataError.fenced) {
      try await store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    }
    await fixture.close()
  }

  @Test("deleting a bucket, and having it keep versions, wait for commits into it")
  func bucketLock() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    guard case .postgres(_, let server, let name) = fixture.database else { return }
    let bucket = try await fixture.bucket()
    let store = fixture.store
    try await withThrowingTaskGroup(of: Void.self) { group in
      try await hold(store, bucket) {
        // Other commits go on meanwhile.
        _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "other")))
        group.addTask { try await store.setVersioning(bucket.id, .enabled) }
        try await awaitBlocked(server, name)
        #expect(try await store.bucket(bucket.id)?.versioning == .off)
      }
      try await group.waitForAll()
    }
    #expect(try await store.bucket(bucket.id)?.versioning == .enabled)
    await fixture.close()
  }

  @Test("no object outlives its bucket, whichever of a commit and a delete is first")
  func deleteBucketRaces() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let store = fixture.store
    for round in 0..<30 {
      let bucket = try await fixture.bucket("b\(round)")
      async let committed: Bool = {
        do {
          _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
          return true
        } catch MetadataError.noSuchBucket {
          return false
        }
      }()
      async let deleted: Bool = {
        do {
          try await store.deleteBucket(bucket.id)
          return true
        } catch MetadataError.bucketNotEmpty {
          return false
        }
      }()
      let (isCommitted, isDeleted) = try await (committed, deleted)
      #expect(isCommitted != isDeleted)
      #expect((try await store.bucket(bucket.id) == nil) == isDeleted)
    }
    #expect(try await store.counts().versions == store.counts().objects)
    await fixture.close()
  }

  @Test("writers that begin at the same time get different epochs")
  func epochs() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let driver = fixture.postgres.driver
    let epochs = try await withThrowingTaskGroup(of: UInt64.self) { group in
      for _ in 0..<12 {
        group.addTask {
          try await SQLMetadataStore(driver: driver).beginWriter(minimum: 0, ringVersion: 0).epoch
        }
      }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(epochs == Set(2...13))
    await fixture.close()
  }

  @Test("changes of identities made at the same time are all counted")
  func generations() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<20 {
        group.addTask {
          _ = try await fixture.store.createUser(
            name: "u\(index)", tenant: 1, email: nil, role: .user)
        }
      }
      try await group.waitForAll()
    }
    #expect(try await fixture.store.identityGeneration() == 20)
    await fixture.close()
  }

  @Test("of several who replace the key-encryption keys one wins")
  func encryptionKeys() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let wins = await withTaskGroup(of: Bool.self) { group in
      for number in 1...8 as ClosedRange<UInt32> {
        group.addTask {
          let key = StoredEncryptionKey(
            number: number, wrapped: [1], masterCheck: [2], created: fixture.clock.now)
          do {
            try await fixture.store.replaceEncryptionKeys([key], expected: [])
            return true
          } catch {
            #expect(error as? MetadataError == .preconditionFailed)
            return false
          }
        }
      }
      return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
    }
    #expect(wins == 1)
    #expect(try await fixture.store.encryptionKeys().count == 1)
    await fixture.close()
  }

  @Test("confirmations that cross each other leave no tombstone")
  func confirmations() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let store = fixture.store
    let bucket = try await fixture.bucket()
    for _ in 0..<20 {
      let extent = fixture.extent(5)
      _ = try await store.commit(fixture.extentCommit(bucket, .init(key: "k"), extents: [extent]))
      _ = try await store.delete(
        bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for chunk in 0..<6 as Range<UInt32> {
          group.addTask { try await store.confirm([(extent.id, 1 << chunk)]) }
        }
        try await group.waitForAll()
      }
    }
    #expect(try await store.counts().tombstones == 0)
    await fixture.close()
  }

  @Test(
    "everything at once leaves tables that agree with each other", arguments: [1, 2] as [UInt64])
  func storm(seed: UInt64) async throws {
    print("metadata storm: seed \(seed)")
    let fixture = try await Fixture(postgres: Fixture.patientOptions, seed: seed)
    guard case .postgres(_, let server, let name) = fixture.database else { return }
    let store = fixture.store
    let bucket = try await fixture.bucket()
    let versioned = try await fixture.bucket("versioned")
    try await store.setVersioning(versioned.id, .enabled)
    let upload = MultipartUpload(
      id: fixture.opaqueID(), bucket: bucket.id, key: .init(key: "k0"),
      initiated: fixture.clock.now, owner: Fixture.owner, attributes: ObjectAttributes(),
      storageClass: "STANDARD", checksumAlgorithm: 0, checksumIsComposite: false)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<16 {
        let random = fixture.random.next()
        group.addTask {
          let generator = SeededStep(random)
          for _ in 0..<40 {
            let key = [UInt8](key: "k\(generator.pick(3))")
            let target = generator.pick(3) == 0 ? versioned : bucket
            do {
              switch generator.pick(task == 0 ? 1 : 8) {
              case 0 where task == 0:
                // One upload after the other of the same key, with parts that come meanwhile.
                var begun = upload
                begun.id = fixture.opaqueID()
                _ = try await store.createUpload(begun)
                try await Self.multipart(fixture, begun)
              case 0..<5:
                _ = try await store.commit(
                  generator.pick(2) == 0
                    ? fixture.inlineCommit(target, key)
                    : fixture.extentCommit(target, key, extents: [fixture.extent(9)]))
              case 5: _ = try await store.foldUsage(limit: 50)
              default:
                _ = try await store.delete(
                  bucket: target.id, key: key, versionID: nil, condition: .none)
              }
            } catch let error as MetadataError {
              #expect(error == .noSuchUpload, "\(error)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    try await Self.agree(server, name)
    await fixture.close()
  }

  private static func multipart(_ fixture: Fixture, _ upload: MultipartUpload) async throws {
    let store = fixture.store
    @Sendable func put(_ number: Int) async throws -> UploadedPart {
      let extent = fixture.extent(3)
      return try await store.commitPart(
        UploadedPart(
          number: number, size: 3, etag: "p", lastModified: fixture.clock.now, checksum: nil,
          extent: extent.id), extent: extent, upload: upload.id)
    }
    let parts = [try await put(1), try await put(2)]
    // Replaces a part while it is being completed: either comes first, and the other fails.
    async let replaced = try? put(1)
    async let completed = try? store.complete(
      UploadCompletion(
        upload: upload.id, bucket: upload.bucket, key: upload.key, parts: parts,
        version: fixture.opaqueID(), etag: "x-2", checksum: nil, condition: .none))
    let outcome = await (replaced, completed)
    #expect((outcome.0 == nil) != (outcome.1 == nil))
    if outcome.1 == nil {
      try await store.abort(upload.id, bucket: upload.bucket, key: upload.key)
    }
  }

  /// Every reference between tables, looked at from both ends.
  private static func agree(_ server: PostgresServer, _ name: String) async throws {
    for (what, query) in [
      (
        "links without extents",
        "SELECT count(*) FROM version_extents WHERE extent NOT IN (SELECT id FROM extents)"
      ),
      (
        "extents without owners",
        """
        SELECT count(*) FROM extents WHERE id NOT IN (SELECT extent FROM version_extents)
          AND id NOT IN (SELECT extent FROM multipart_parts)
        """
      ),
      (
        "living extents with tombstones",
        "SELECT count(*) FROM extents WHERE id IN (SELECT extent FROM tombstones)"
      ),
      (
        "heads without versions",
        "SELECT count(*) FROM objects WHERE version NOT IN (SELECT id FROM object_versions)"
      ),
      (
        "heads that are not the latest",
        """
        SELECT count(*) FROM objects o WHERE sequence <> (SELECT max(sequence)
          FROM object_versions v WHERE v.bucket_id = o.bucket_id AND v.key = o.key)
        """
      ),
      (
        "inline data without versions",
        "SELECT count(*) FROM inline_data WHERE version NOT IN (SELECT id FROM object_versions)"
      ),
      (
        "times that go back",
        """
        SELECT count(*) FROM object_versions a JOIN object_versions b
          ON a.bucket_id = b.bucket_id AND a.key = b.key AND a.sequence < b.sequence
          AND a.modified_ms >= b.modified_ms
        """
      ),
      (
        "usage that is not what is there",
        """
        SELECT count(*) FROM (SELECT (SELECT COALESCE(sum(size), 0) FROM objects WHERE live = 1)
          - (SELECT COALESCE(sum(bytes), 0) FROM bucket_usage)
          - (SELECT COALESCE(sum(bytes), 0) FROM usage_deltas) AS difference) d
        WHERE difference <> 0
        """
      ),
    ] {
      let rows = try await TestDatabases.run(server, query, database: name)
      #expect(rows.rows == [["0"]], "\(what)")
    }
  }
}

/// Random choices of one task.
private final class SeededStep: Sendable {
  private let state: Mutex<UInt64>
  init(_ seed: UInt64) { state = Mutex(seed | 1) }
  func pick(_ bound: Int) -> Int {
    state.withLock { state in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(bound))
    }
  }
}
