import Base
import Foundation
import Metadata
import MetadataPostgres
import Runtime
import TestSupport
import Testing

/// Conditional writes that race while statements are held up between driver and server, and
/// connections are lost inside commits.
@Suite("Races with delays and lost connections", .enabled(if: PostgresServer.isInstalled))
struct DelayedRaceTests {
  /// A third of all runs of bytes is slow; the first commit and a fifth of the others are cut
  /// before, after or in the middle. Which ones follows from the seed.
  private static func disturb(_ proxied: Proxied, seed: UInt64) {
    print("DelayedRaceTests: seed \(seed)")
    let first = Proxied.Fired()
    proxied.proxy.onChunk { chunk in
      let random = SeededRandom(seed: seed &+ UInt64(chunk.number)).next() >> 16
      if chunk.commits, first.fire() || random % 5 == 0 {
        return [.cut, .loseAnswer, .half][Int(random / 5 % 3)]
      }
      return random % 3 == 0 ? .slow : .forward
    }
  }

  @Test(
    "of 40 tasks that ask for an absent key exactly one wins", arguments: [1, 2, 3] as [UInt64])
  func oneWins(seed: UInt64) async throws {
    let proxied = try await Proxied { $0.poolSize = 8 }
    let fixture = proxied.fixture
    let bucket = try await fixture.bucket()
    Self.disturb(proxied, seed: seed)
    let key = [UInt8](key: "k")
    let wins = try await withThrowingTaskGroup(of: Int64?.self) { group in
      for size in 1...40 as ClosedRange<Int64> {
        group.addTask {
          var commit = fixture.inlineCommit(bucket, key, condition: .absent)
          commit.size = size
          do {
            _ = try await fixture.store.commit(commit)
            return size
          } catch MetadataError.preconditionFailed {
            return nil
          }
        }
      }
      return try await group.reduce(into: [Int64]()) { wins, size in
        if let size { wins.append(size) }
      }
    }
    let metrics = fixture.postgres.driver.metrics.transactions
    #expect(metrics.unanswered > 0)
    proxied.proxy.onChunk { _ in .forward }
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
    #expect(wins == [try #require(found.version).size])
    #expect(try await fixture.store.counts().versions == 1)
    #expect(fixture.postgres.driver.unresolvedCount == 0)
    await fixture.close()
  }

  @Test("a commit that holds locks is resolved though all connections wait for these locks")
  func starved() async throws {
    let proxied = try await Proxied { $0.poolSize = 2 }
    let fixture = proxied.fixture
    let bucket = try await fixture.bucket()
    let key = [UInt8](key: "k")
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, key))
    let driver = fixture.postgres.driver
    let first = Proxied.Fired()
    proxied.proxy.onChunk { chunk in
      guard chunk.commits, first.fire() else { return .forward }
      // Until one has the other connection, and others stand in line for this one.
      while driver.connections.waiting < 2 || driver.connections.idle > 0 { usleep(1000) }
      return .half
    }
    // Nobody has to wait until a statement's time is over, which would be an error.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<6 {
        group.addTask { _ = try await fixture.store.commit(fixture.inlineCommit(bucket, key)) }
      }
      try await group.waitForAll()
    }
    #expect(driver.metrics.transactions.unanswered == 1)
    #expect(driver.unresolvedCount == 0)
    await fixture.close()
  }

  @Test("a counter by compare and swap loses and doubles nothing", arguments: [4, 5] as [UInt64])
  func counter(seed: UInt64) async throws {
    let proxied = try await Proxied { $0.poolSize = 6 }
    let fixture = proxied.fixture
    let bucket = try await fixture.bucket()
    let key = [UInt8](key: "counter")
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, key, size: 0))
    Self.disturb(proxied, seed: seed)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<12 {
        group.addTask {
          while true {
            let found = try await fixture.store.lookUp(
              bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
            let version = try #require(found.version)
            do {
              _ = try await fixture.store.commit(
                fixture.inlineCommit(
                  bucket, key, size: version.size + 1, condition: .version(version.number)))
              return
            } catch MetadataError.preconditionFailed {}
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(fixture.postgres.driver.metrics.transactions.unanswered > 0)
    proxied.proxy.onChunk { _ in .forward }
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: key, versionID: nil, withContent: false)
    #expect(found.version?.size == 12)
    await fixture.close()
  }
}
