import Base
import Metadata
import Runtime
import Testing

/// Databases made again out of logs that lack a transaction which others built on.
@Suite("What transactions that are not in the log took away")
struct RebuildLeftoverTests {
  /// Makes a database again of what was there, and of what was logged of what `body` did then.
  private static func rebuilt(
    on kind: DatabaseKind, _ fixture: Fixture, _ bucket: Bucket,
    _ body: (SQLMetadataStore, MemorySink) async throws -> Void
  ) async throws -> Fixture {
    let sink = MemorySink()
    try await fixture.store.setChangeLogID([UInt8](repeating: 7, count: 16))
    let floor = try await fixture.store.changeBarrier()
    let before = try await snapshotRows(fixture.store, floor: floor)
    fixture.store.setChangeSink(sink)
    try await body(fixture.store, sink)
    let target = try await Fixture.on(kind, seed: 92)
    try await target.store.beginRebuild()
    for (table, rows) in before { try await target.store.restore(table: table, rows) }
    try await target.store.stage(sink.records.withLock { $0 })
    _ = try await target.store.applyStaged(after: floor, newer: [:])
    _ = try await target.store.finishRebuild(floor: floor)
    return target
  }

  private static func versions(
    _ target: Fixture, _ bucket: Bucket, _ key: String
  ) async throws -> (etag: String?, counts: MetadataCounts) {
    let found = try await target.store.lookUp(
      bucket: bucket.name, tenant: 1, key: .init(key: key), versionID: nil, withContent: false)
    return (found.version?.etag, try await target.store.counts())
  }

  @Test(
    "a key that was deleted and written again, or overwritten twice, has its last version alone",
    arguments: DatabaseKind.available, [true, false])
  func unversioned(on kind: DatabaseKind, isDeleted: Bool) async throws {
    let fixture = try await Fixture.on(kind, seed: 91)
    let bucket = try await fixture.bucket()
    let first = fixture.extent(9)
    _ = try await fixture.store.commit(
      fixture.extentCommit(bucket, .init(key: "k"), extents: [first], etag: "first"))
    let target = try await Self.rebuilt(on: kind, fixture, bucket) { store, sink in
      sink.isReached.withLock { $0 = false }
      await #expect(throws: MetadataError.unknownOutcome) {
        if isDeleted {
          _ = try await store.delete(
            bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
        } else {
          _ = try await store.commit(
            fixture.inlineCommit(bucket, .init(key: "k"), etag: "unlogged"))
        }
      }
      sink.isReached.withLock { $0 = true }
      _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "k"), etag: "last"))
    }
    let (etag, counts) = try await Self.versions(target, bucket, "k")
    #expect(etag == "last")
    #expect(counts.objects == 1 && counts.versions == 1 && counts.inlineObjects == 1)
    // Its chunks are deleted in time.
    #expect(counts.extents == 0 && counts.tombstones == 1)
    // The key is as any other.
    _ = try await target.store.delete(
      bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
    try await target.store.deleteBucket(bucket.id)
    await target.close()
    await fixture.close()
  }

  @Test(
    "a key that was overwritten and then deleted is gone as a whole",
    arguments: DatabaseKind.available)
  func deleted(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind, seed: 93)
    let bucket = try await fixture.bucket()
    _ = try await fixture.store.commit(
      fixture.extentCommit(bucket, .init(key: "k"), extents: [fixture.extent(9)]))
    let target = try await Self.rebuilt(on: kind, fixture, bucket) { store, sink in
      sink.isReached.withLock { $0 = false }
      await #expect(throws: MetadataError.unknownOutcome) {
        _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
      }
      sink.isReached.withLock { $0 = true }
      _ = try await store.delete(
        bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
    }
    let (etag, counts) = try await Self.versions(target, bucket, "k")
    #expect(etag == nil)
    #expect(counts.versions == 0 && counts.extents == 0 && counts.tombstones == 1)
    try await target.store.deleteBucket(bucket.id)
    await target.close()
    await fixture.close()
  }

  @Test(
    "two versions in one place, as a snapshot under writes may have them, become the later one",
    arguments: DatabaseKind.available)
  func snapshotUnderWrites(on kind: DatabaseKind) async throws {
    let fixture = try await Fixture.on(kind, seed: 94)
    let bucket = try await fixture.bucket()
    let commits = [fixture.extent(7), fixture.extent(9)].map {
      fixture.extentCommit(bucket, .init(key: "k"), extents: [$0], etag: "\($0.plaintextLength)")
    }
    _ = try await fixture.store.commit(commits[0])
    let early = try await snapshotRows(fixture.store, floor: 0)
    _ = try await fixture.store.delete(
      bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
    _ = try await fixture.store.commit(commits[1])
    let late = try await snapshotRows(fixture.store, floor: 0)
    let target = try await Fixture.on(kind, seed: 95)
    try await target.store.beginRebuild()
    for (table, rows) in early where LoggedTable.numbered(table)?.name != "objects" {
      try await target.store.restore(table: table, rows)
    }
    for (table, rows) in late { try await target.store.restore(table: table, rows) }
    _ = try await target.store.finishRebuild(floor: 0)
    let (etag, counts) = try await Self.versions(target, bucket, "k")
    #expect(etag == "9")
    #expect(counts.versions == 1 && counts.extents == 1)
    await target.close()
    await fixture.close()
  }
}
