import Base
import Metadata
import Runtime
import Synchronization
import Testing

/// Two gateways over one database, of which the first does not get what it commits into the log.
@Suite(
  "What acknowledged changes build on", .enabled(if: DatabaseKind.available.contains(.postgres)))
struct FoundationTests {
  private let fixture: Fixture
  private let first: SQLMetadataStore
  private let second: SQLMetadataStore
  private let lost = MemorySink()
  private let sink = MemorySink()
  private let epochs: [UInt64]

  init() async throws {
    fixture = try await Fixture.on(.postgres, seed: 90)
    let driver = fixture.postgres.driver
    first = SQLMetadataStore(driver: driver, random: fixture.random)
    second = SQLMetadataStore(driver: driver, random: fixture.random)
    epochs = [
      try await first.beginWriter(minimum: 0, ringVersion: 0).epoch,
      try await second.beginWriter(minimum: 0, ringVersion: 0).epoch,
    ]
    try await first.setChangeLogID([UInt8](repeating: 7, count: 16))
    first.setChangeSink(lost)
    second.setChangeSink(sink)
    lost.isReached.withLock { $0 = false }
  }

  /// Runs what is committed and comes not into the log.
  private func unlogged(_ body: () async throws -> Void) async {
    await #expect(throws: MetadataError.unknownOutcome) { try await body() }
  }

  private func bucket(_ name: String = "bucket") async throws -> Bucket {
    try #require(try await second.bucket(named: name, tenant: 1))
  }

  /// The rows of a table that the log of the second gateway makes.
  private func logged(_ table: String) -> [[SQLValue]] {
    let number = LoggedTable.all.first { $0.name == table }?.number
    var rows: [[SQLValue]: [SQLValue]] = [:]
    let records = sink.records.withLock { $0 }.sorted { $0.number < $1.number }
    for change in records.flatMap(\.changes) where change.table == number {
      let count = LoggedTable.numbered(change.table)?.keyCount ?? 0
      rows[Array(change.values.prefix(count))] = change.isDelete ? nil : change.values
    }
    return Array(rows.values)
  }

  private func put(
    _ key: String, in bucket: Bucket, by store: SQLMetadataStore, extents: [Extent] = []
  ) async throws -> CommittedVersion {
    var commit =
      extents.isEmpty
      ? fixture.inlineCommit(bucket, .init(key: key))
      : fixture.extentCommit(bucket, .init(key: key), extents: extents)
    commit.version = fixture.opaqueID(epoch: store === first ? epochs[0] : epochs[1])
    return try await store.commit(commit)
  }

  private func extent(of epoch: UInt64) -> Extent {
    var extent = fixture.extent(9)
    extent.id = ExtentID(epoch: epoch, random: (1, fixture.random.next()))
    return extent
  }

  @Test("The bucket of an object is in the log before the object is acknowledged")
  func bucketOfAnother() async throws {
    await unlogged {
      _ = try await first.createBucket(
        name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    }
    let bucket = try await bucket()
    #expect(logged("buckets").isEmpty)
    _ = try await put("a", in: bucket, by: second)
    #expect(logged("buckets").map(\.first) == [.int(bucket.id.number)])
    #expect(logged("objects").count == 1)
    // It is not logged with every object, and its mark waits for whoever made it.
    let count = sink.records.withLock { $0.count }
    _ = try await put("b", in: bucket, by: second)
    #expect(sink.records.withLock { $0.count } == count + 1)
    #expect(try await second.changeMarks(after: 0, limit: 10).contains { $0.epoch == epochs[0] })
    // What this process logs itself is not looked at twice either.
    _ = try await second.createBucket(
      name: "own", tenant: 1, owner: Fixture.owner, purpose: .s3)
    _ = try await put("c", in: bucket, by: second)
    #expect(sink.records.withLock { $0.count } == count + 3)
    await fixture.close()
  }

  @Test("A bucket that another deleted does not stand in the way of one of its name")
  func deletedBucket() async throws {
    _ = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    let old = try await bucket()
    await unlogged { try await first.deleteBucket(old.id) }
    let new = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    #expect(logged("buckets").map(\.first) == [.int(new.id.number)])
    await fixture.close()
  }

  @Test("While the log takes nothing more, what builds on another's change is not acknowledged")
  func unreachable() async throws {
    await unlogged {
      _ = try await first.createBucket(
        name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    }
    let bucket = try await bucket()
    sink.limit.withLock { $0 = 1 }
    await unlogged { _ = try await put("a", in: bucket, by: second) }
    sink.limit.withLock { $0 = .max }
    _ = try await put("b", in: bucket, by: second)
    #expect(logged("buckets").count == 1)
    await fixture.close()
  }

  @Test("A mark that a third gateway takes over, and does not log, counts as before")
  func takenOver() async throws {
    await unlogged {
      _ = try await first.createBucket(
        name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    }
    let bucket = try await bucket()
    let third = SQLMetadataStore(driver: fixture.postgres.driver, random: fixture.random)
    _ = try await third.beginWriter(minimum: 0, ringVersion: 0)
    third.setChangeSink(lost)
    let marks = try await third.changeMarks(after: 0, limit: 10)
    #expect(marks.count == 1)
    await unlogged { try await third.relog(marks) }
    _ = try await put("a", in: bucket, by: second)
    #expect(logged("buckets").count == 1)
    await fixture.close()
  }

  @Test("Parts of another are in the log before the object that they make is acknowledged")
  func parts() async throws {
    _ = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    let bucket = try await bucket()
    let upload = MultipartUpload(
      id: fixture.opaqueID(epoch: epochs[1]), bucket: bucket.id, key: .init(key: "k"),
      initiated: Timestamp(milliseconds: 0), owner: Fixture.owner,
      attributes: ObjectAttributes(), storageClass: "STANDARD", checksumAlgorithm: 0,
      checksumIsComposite: false)
    _ = try await second.createUpload(upload)
    let extent = extent(of: epochs[0])
    let part = UploadedPart(
      number: 1, size: 9, etag: "e", lastModified: Timestamp(milliseconds: 0), checksum: nil,
      extent: extent.id)
    await unlogged { _ = try await first.commitPart(part, extent: extent, upload: upload.id) }
    let seen = try await second.parts(of: upload.id, after: 0, limit: 10)
    #expect(seen.count == 1 && logged("extents").isEmpty)
    _ = try await second.complete(
      UploadCompletion(
        upload: upload.id, bucket: bucket.id, key: upload.key, parts: seen,
        version: fixture.opaqueID(epoch: epochs[1]), etag: "e-1", checksum: nil,
        condition: .none))
    #expect(logged("extents").map(\.first) == [.bytes(extent.id.bytes)])
    #expect(logged("version_extents").count == 1)
    #expect(logged("multipart_parts").isEmpty)
    await fixture.close()
  }

  @Test("A version of another is in the log before what is written about it is acknowledged")
  func attributes() async throws {
    _ = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    let bucket = try await bucket()
    let extent = extent(of: epochs[0])
    await unlogged { _ = try await put("k", in: bucket, by: first, extents: [extent]) }
    let found = try await second.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: false)
    let version = try #require(found.version)
    _ = try await second.replaceAttributes(
      bucket: bucket.id, key: version.key, expected: version.number,
      version: fixture.opaqueID(epoch: epochs[1]), attributes: ObjectAttributes(),
      storageClass: "STANDARD", checksum: nil)
    #expect(logged("extents").map(\.first) == [.bytes(extent.id.bytes)])
    await fixture.close()
  }

  @Test("A deletion that finds nothing is acknowledged once whoever was first is in the log")
  func repeatedDelete() async throws {
    _ = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    let bucket = try await bucket()
    let version = try await put("k", in: bucket, by: second)
    await unlogged {
      _ = try await first.delete(
        bucket: bucket.id, key: .init(key: "k"), versionID: nil, condition: .none)
    }
    #expect(logged("objects").count == 1)
    for id in [nil, version.versionID] {
      let deleted = try await second.delete(
        bucket: bucket.id, key: .init(key: "k"), versionID: id, condition: .none)
      #expect(!deleted.existed)
      #expect(logged("objects").isEmpty && logged("object_versions").isEmpty)
    }
    await fixture.close()
  }

  @Test("A version is confirmed when its making is in the log")
  func confirmation() async throws {
    _ = try await second.createBucket(
      name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
    let bucket = try await bucket()
    await unlogged { _ = try await put("k", in: bucket, by: first) }
    let found = try await second.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: false)
    let version = try #require(found.version)
    sink.limit.withLock { $0 = 0 }
    await unlogged { try await second.confirmLogged(version.number) }
    #expect(logged("objects").isEmpty)
    sink.limit.withLock { $0 = .max }
    try await second.confirmLogged(version.number)
    #expect(logged("objects").count == 1 && logged("inline_data").count == 1)
    await fixture.close()
  }
}
