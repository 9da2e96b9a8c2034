import Base
import Foundation
import Metadata
import MetadataPostgres
import Postgres
import Synchronization
import TestSupport
import Testing

/// On a server of their own, which crashes.
@Suite(
  "PostgreSQL that crashes and comes back", .serialized,
  .enabled(if: PostgresServer.isInstalled))
struct PostgresRestartTests {
  private struct Setup: Sendable {
    let server: PostgresServer
    let metadata: PostgresMetadata
    let makers: Fixture
    let bucket: Bucket
    var store: SQLMetadataStore { metadata.store }

    init(_ change: (inout PostgresOptions) -> Void = { _ in }) async throws {
      let server = try await Task.detached { try PostgresServer() }.value
      _ = try await PostgresMetadata.migrate(
        url: server.url("postgres"), threads: TestDatabases.threads)
      var options = Fixture.patientOptions
      options.poolSize = 8
      change(&options)
      metadata = try await PostgresMetadata.open(
        url: server.url("postgres"), options: options, threads: TestDatabases.threads)
      self.server = server
      _ = try await metadata.store.beginWriter(minimum: 0, ringVersion: 0)
      bucket = try await metadata.store.createBucket(
        name: "bucket", tenant: 1, owner: Fixture.owner, purpose: .s3)
      makers = try await Fixture()
    }
  }

  private func onThread(_ body: @escaping @Sendable () throws -> Void) async throws {
    try await Task.detached { try body() }.value
  }

  @Test("a server that crashes between two statements, and again, is not noticed")
  func betweenStatements() async throws {
    let setup = try await Setup()
    let crashes = Count()
    let insert = SQLStatement("INSERT INTO settings(name, value) VALUES($1, $2)")
    try await setup.metadata.driver.write(cost: 1) { session in
      _ = try await session.run(insert, [.text("first"), .bytes([1])])
      if crashes.value < 2 {
        crashes.add()
        try setup.server.crashAndRestart()
      }
      _ = try await session.run(insert, [.text("second"), .bytes([2])])
    }
    #expect(crashes.value == 2)
    #expect(try await setup.store.setting("first") == [1])
    #expect(try await setup.store.setting("second") == [2])
    // Every connection is of before the crash.
    try await onThread { try setup.server.crashAndRestart() }
    #expect(try await setup.store.setting("first") == [1])
    await setup.metadata.close()
    await setup.makers.close()
  }

  @Test("under crashes each commit happens once or not at all, as it was answered")
  func storm() async throws {
    let setup = try await Setup()
    let box = Results()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<6 {
        group.addTask {
          for index in 0..<60 {
            let key = [UInt8](key: "k\(task)-\(index)")
            let commit = setup.makers.extentCommit(
              setup.bucket, key, extents: [setup.makers.extent(3)], condition: .absent)
            do {
              let made = try await setup.store.commit(commit)
              box.add(key, made.number == commit.version.number ? .made : .wrong)
            } catch MetadataError.unknownOutcome {
              box.add(key, .unknown)
            } catch {
              box.add(key, .refused)
            }
            if task == 0, index == 15 || index == 40 { try setup.server.crashAndRestart() }
          }
        }
      }
      try await group.waitForAll()
    }
    await setup.metadata.driver.resolveRemaining()
    #expect(setup.metadata.driver.unresolvedCount == 0)
    for (key, outcome) in box.all {
      let found = try await setup.store.lookUp(
        bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
      switch outcome {
      case .made: #expect(found.version != nil)
      case .refused: #expect(found.version == nil)
      case .unknown: break
      case .wrong: Issue.record("answered with another version")
      }
    }
    #expect(box.all.count == 360)
    let counts = try await setup.store.counts()
    #expect(counts.versions == counts.extents && counts.objects == counts.versions)
    await setup.metadata.close()
    await setup.makers.close()
  }

  @Test("while the server is away requests fail in time, and it is found when it is back")
  func away() async throws {
    let setup = try await Setup { $0.retryTime = 3000 }
    try await onThread { try setup.server.crash() }
    await #expect(throws: MetadataError.self) { try await setup.store.setting("x") }
    await #expect(throws: MetadataError.self) { try await setup.store.setSetting("x", [1]) }
    try await onThread { try setup.server.start() }
    #expect(try await setup.store.setting("x") == nil)
    try await setup.store.setSetting("x", [1])
    #expect(try await setup.store.setting("x") == [1])
    await setup.metadata.close()
    await setup.makers.close()
  }

  private final class Results: Sendable {
    enum Outcome: Sendable { case made, wrong, unknown, refused }
    private let state = Mutex<[(key: [UInt8], outcome: Outcome)]>([])
    var all: [(key: [UInt8], outcome: Outcome)] { state.withLock { $0 } }
    func add(_ key: [UInt8], _ outcome: Outcome) { state.withLock { $0.append((key, outcome)) } }
  }
}
