import Base
import Foundation
import Metadata
import MetadataPostgres
import Synchronization
import TestSupport
import Testing

/// A driver behind a proxy.
struct Proxied {
  let fixture: Fixture
  let proxy: PostgresProxy

  init(_ change: (inout PostgresOptions) -> Void = { _ in }) async throws {
    var options = Fixture.patientOptions
    options.poolSize = 3
    change(&options)
    let made = Mutex<PostgresProxy?>(nil)
    fixture = try await Fixture(postgres: options) { server, name in
      let proxy = try PostgresProxy(server: server.directory)
      made.withLock { $0 = proxy }
      return proxy.url(name)
    }
    proxy = try #require(made.withLock { $0 })
  }

  /// Applies `action` to the first run of bytes for which `condition` holds, and tells whether
  /// there was one.
  func once(
    _ action: PostgresProxy.Action,
    when condition: @escaping @Sendable (PostgresProxy.Chunk) -> Bool
  ) -> Fired {
    let fired = Fired()
    proxy.onChunk { chunk in
      condition(chunk) && fired.fire() ? action : .forward
    }
    return fired
  }

  final class Fired: Sendable {
    private let state = Mutex(false)
    var hasFired: Bool { state.withLock { $0 } }
    func fire() -> Bool {
      state.withLock { state in
        defer { state = true }
        return !state
      }
    }
  }
}

@Suite("Connections to PostgreSQL that are lost", .enabled(if: PostgresServer.isInstalled))
struct LostConnectionTests {
  /// Mutations that tell by their result whether they happened once: a second time, each comes to
  /// something else.
  enum Mutation: String, CaseIterable, Sendable {
    case createBucket, createUser, commit, replace, delete, createUpload, commitPart, complete
    case abort, setVersioning, foldUsage, renewWriter
  }

  @Test(
    "a mutation happens exactly once when its connection is cut anywhere",
    arguments: Mutation.allCases, [PostgresProxy.Action.cut, .loseAnswer])
  func everywhere(_ mutation: Mutation, _ action: PostgresProxy.Action) async throws {
    let proxied = try await Proxied()
    var position = 0
    while true {
      let subject = try await Subject(proxied.fixture, position)
      let fired = proxied.once(action) { [position] in $0.number == position }
      try await subject.run(mutation)
      guard fired.hasFired else { break }
      proxied.proxy.onChunk { _ in .forward }
      try await subject.verify(mutation)
      position += 1
    }
    #expect(position >= 1)
    #expect(proxied.fixture.postgres.driver.unresolvedCount == 0)
    await proxied.fixture.close()
  }

  @Test(
    "a commit that is cut in half or comes late happens exactly once",
    arguments: [Mutation.commit, .delete, .complete], [PostgresProxy.Action.half, .late])
  func commitInFlight(_ mutation: Mutation, _ action: PostgresProxy.Action) async throws {
    let proxied = try await Proxied()
    let subject = try await Subject(proxied.fixture, 0)
    let fired = proxied.once(action) { $0.commits }
    try await subject.run(mutation)
    #expect(fired.hasFired)
    proxied.proxy.onChunk { _ in .forward }
    try await subject.verify(mutation)
    // Whatever was late has arrived by now, and was refused.
    try await Task.sleep(for: .microseconds(Int(PostgresProxy.delay) + 200_000))
    try await subject.verify(mutation)
    #expect(proxied.fixture.postgres.driver.metrics.transactions.unanswered == 1)
    await proxied.fixture.close()
  }

  @Test(
    "while the database is away the outcome is unknown, and it is found out later",
    arguments: [PostgresProxy.Action.cut, .loseAnswer])
  func away(_ action: PostgresProxy.Action) async throws {
    let proxied = try await Proxied { $0.resolveTime = 300 }
    let (fixture, proxy) = (proxied.fixture, proxied.proxy)
    let bucket = try await fixture.bucket()
    let commit = fixture.extentCommit(bucket, .init(key: "k"), extents: [fixture.extent(9)])
    proxy.onChunk { chunk in
      if chunk.commits {
        proxy.setAccepts(false)
        return action
      }
      return .forward
    }
    // No other connection is left that could ask.
    await #expect(throws: MetadataError.unknownOutcome) { try await fixture.store.commit(commit) }
    let driver = fixture.postgres.driver
    #expect(driver.unresolvedCount == 1)
    await driver.resolveRemaining()
    #expect(driver.unresolvedCount == 1)
    proxy.onChunk { _ in .forward }
    proxy.setAccepts(true)
    await driver.resolveRemaining()
    #expect(driver.unresolvedCount == 0)
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: false)
    #expect((found.version != nil) == (action == .loseAnswer))
    await fixture.close()
  }

  @Test("a server that hangs makes a request fail in time, not wait")
  func hang() async throws {
    let proxied = try await Proxied {
      $0.answerTimeout = 2000
      $0.connectTimeout = 2000
      $0.retryTime = 3000
      $0.resolveTime = 300
    }
    let (fixture, proxy) = (proxied.fixture, proxied.proxy)
    proxy.onChunk { _ in .hang }
    await #expect(throws: MetadataError.self) { try await fixture.store.setting("x") }
    await #expect(throws: MetadataError.self) { try await fixture.store.setSetting("x", [1]) }
    proxy.onChunk { _ in .forward }
    try await fixture.store.setSetting("x", [2])
    #expect(try await fixture.store.setting("x") == [2])
    await fixture.close()
  }

  @Test("a read that nobody waits for any more ends at once")
  func cancelled() async throws {
    let proxied = try await Proxied()
    let (fixture, proxy) = (proxied.fixture, proxied.proxy)
    let isHanging = AsyncStream<Void>.makeStream()
    proxy.onChunk { _ in
      isHanging.continuation.yield()
      return .hang
    }
    let task = Task { try await fixture.store.setting("x") }
    for await _ in isHanging.stream { break }
    task.cancel()
    await #expect(throws: MetadataError.self) { try await task.value }
    proxy.onChunk { _ in .forward }
    #expect(try await fixture.store.setting("x") == nil)
    await fixture.close()
  }
}

/// What a mutation is done to, and whether it came to what it should.
private struct Subject {
  let fixture: Fixture
  let bucket: Bucket
  let name: String
  let upload: MultipartUpload
  let part: UploadedPart
  let partExtent: Extent
  let newVersion: OpaqueID
  let old: Extent
  let key = [UInt8](key: "old")

  init(_ fixture: Fixture, _ position: Int) async throws {
    self.fixture = fixture
    name = "b\(position)-\(fixture.random.next())"
    let store = fixture.store
    bucket = try await fixture.bucket(name)
    old = fixture.extent(10)
    _ = try await store.commit(fixture.extentCommit(bucket, key, extents: [old]))
    upload = try await store.createUpload(Self.upload(fixture, bucket))
    partExtent = fixture.extent(7)
    part = try await store.commitPart(
      Self.part(1, partExtent, fixture), extent: partExtent, upload: upload.id)
    newVersion = fixture.opaqueID()
    while try await store.foldUsage(limit: 1000) > 0 {}
  }

  private static func upload(_ fixture: Fixture, _ bucket: Bucket) -> MultipartUpload {
    MultipartUpload(
      id: fixture.opaqueID(), bucket: bucket.id, key: .init(key: "large"),
      initiated: fixture.clock.now, owner: Fixture.owner, attributes: ObjectAttributes(),
      storageClass: "STANDARD", checksumAlgorithm: 0, checksumIsComposite: false)
  }

  private static func part(_ number: Int, _ extent: Extent, _ fixture: Fixture) -> UploadedPart {
    UploadedPart(
      number: number, size: extent.plaintextLength, etag: "p", lastModified: fixture.clock.now,
      checksum: nil, extent: extent.id)
  }

  func run(_ mutation: LostConnectionTests.Mutation) async throws {
    let store = fixture.store
    switch mutation {
    case .createBucket: _ = try await fixture.bucket("new" + name)
    case .createUser:
      _ = try await store.createUser(name: name, tenant: 1, email: nil, role: .user)
    case .commit:
      var commit = fixture.extentCommit(bucket, .init(key: "new"), extents: [fixture.extent(5)])
      commit.version = newVersion
      commit.condition = .absent
      #expect(try await store.commit(commit).number == newVersion.number)
    case .replace:
      var commit = fixture.inlineCommit(bucket, key)
      commit.version = newVersion
      #expect(try await store.commit(commit).number == newVersion.number)
    case .delete:
      let deleted = try await store.delete(
        bucket: bucket.id, key: key, versionID: nil, condition: .exists)
      #expect(deleted.existed)
    case .createUpload: _ = try await store.createUpload(Self.upload(fixture, bucket))
    case .commitPart:
      let extent = fixture.extent(6)
      _ = try await store.commitPart(
        Self.part(1, extent, fixture), extent: extent, upload: upload.id)
    case .complete:
      let made = try await store.complete(
        UploadCompletion(
          upload: upload.id, bucket: bucket.id, key: upload.key, parts: [part],
          version: newVersion, etag: "x-1", checksum: nil, condition: .absent))
      #expect(made.number == newVersion.number)
    case .abort: try await store.abort(upload.id, bucket: bucket.id, key: upload.key)
    case .setVersioning: try await store.setVersioning(bucket.id, .enabled)
    case .foldUsage:
      _ = try await store.commit(fixture.inlineCommit(bucket, .init(key: "x"), size: 3))
      _ = try await store.foldUsage(limit: 1000)
    case .renewWriter: try await store.renewWriter(oldestRead: nil)
    }
  }

  func verify(_ mutation: LostConnectionTests.Mutation) async throws {
    let store = fixture.store
    let usage = try await store.usage(of: bucket.id)
    fixture.clock.advance(milliseconds: 1)
    let dead = try await store.tombstones(before: fixture.clock.now, limit: 10_000)
    let isOldDead = dead.contains { $0.extent == old.id }
    let uploads = try await store.listUploads(UploadListRequest(bucket: bucket.id, limit: 9))
    switch mutation {
    case .createBucket: #expect(try await store.bucket(named: "new" + name, tenant: 1) != nil)
    case .createUser: #expect(try await store.user(named: name, tenant: 1) != nil)
    case .commit: #expect(usage == Usage(objects: 2, bytes: 15))
    case .replace: #expect(usage == Usage(objects: 1, bytes: 5) && isOldDead)
    case .delete: #expect(usage == Usage(objects: 0, bytes: 0) && isOldDead)
    case .createUpload: #expect(uploads.uploads.count == 2)
    case .commitPart: #expect(dead.contains { $0.extent == partExtent.id })
    case .complete: #expect(usage == Usage(objects: 2, bytes: 17) && uploads.uploads.isEmpty)
    case .abort:
      #expect(uploads.uploads.isEmpty && dead.contains { $0.extent == partExtent.id })
    case .setVersioning: #expect(try await store.bucket(bucket.id)?.versioning == .enabled)
    case .foldUsage: #expect(usage == Usage(objects: 2, bytes: 13))
    case .renewWriter: break
    }
  }
}
