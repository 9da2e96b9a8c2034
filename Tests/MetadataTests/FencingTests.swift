import Base
import Metadata
import MetadataPostgres
import Runtime
import Synchronization
import TestSupport
import Testing

@Suite("Fences and transactions that run", .enabled(if: PostgresServer.isInstalled))
struct FencingTests {
  private static let writer = SQLStatement("SELECT state FROM writers WHERE epoch = $1 @share")

  private final class Events: Sendable {
    private let names = Mutex<[String]>([])
    var all: [String] { names.withLock { $0 } }
    func add(_ name: String) { names.withLock { $0.append(name) } }
  }

  /// Runs `body` while a transaction that `hold` began is still open; what ended first.
  private func order(
    _ fixture: Fixture, hold: @escaping @Sendable (any SQLSession) async throws -> Void,
    _ body: @escaping @Sendable () async throws -> Void
  ) async throws -> [String] {
    guard case .postgres(_, let server, let name) = fixture.database else { return [] }
    let events = Events()
    let isHeld = AsyncStream<Void>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await fixture.store.driver.write(cost: 1) { session in
          try await hold(session)
          isHeld.continuation.finish()
          // Until the other waits for it.
          while try await TestDatabases.run(
            server,
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = '\(name)'
            """
          ).rows == [["0"]] {
            guard events.all.isEmpty else { return }
          }
          events.add("transaction")
        }
      }
      group.addTask {
        for await _ in isHeld.stream {}
        try await body()
        events.add("fence")
      }
      try await group.waitForAll()
    }
    return events.all
  }

  @Test("a writer is fenced only when its commit that runs has ended")
  func writers() async throws {
    let fixture = try await Fixture.on(.postgres)
    let epoch = try #require(await fixture.store.liveWriters().first?.epoch)
    fixture.clock.advance(milliseconds: 60_000)
    let store = fixture.store
    let order = try await order(fixture) { session in
      _ = try await session.query(Self.writer, [.int(Int64(epoch))])
    } _: {
      let fenced = try await store.fenceExpiredWriters()
      #expect(fenced == [epoch])
    }
    #expect(order == ["transaction", "fence"])
    await fixture.close()
  }

  @Test("a writer that ends waits for its commit that runs")
  func ending() async throws {
    let fixture = try await Fixture.on(.postgres)
    let epoch = try #require(await fixture.store.liveWriters().first?.epoch)
    let store = fixture.store
    let order = try await order(fixture) { session in
      _ = try await session.query(Self.writer, [.int(Int64(epoch))])
    } _: {
      try await store.endWriter()
    }
    #expect(order == ["transaction", "fence"])
    await fixture.close()
  }

  @Test("a lease is taken over only when the transaction under it that runs has ended")
  func leases() async throws {
    let fixture = try await Fixture.on(.postgres)
    let store = fixture.store
    #expect(try await store.acquireLease("work", holder: 1, length: .seconds(30)) == 1)
    fixture.clock.advance(milliseconds: 60_000)
    let lease = SQLStatement("SELECT holder, fence FROM leases WHERE name = $1 @share")
    let order = try await order(fixture) { session in
      _ = try await session.query(lease, [.text("work")])
    } _: {
      let fence = try await store.acquireLease("work", holder: 2, length: .seconds(30))
      #expect(fence == 2)
    }
    #expect(order == ["transaction", "fence"])
    // The holder itself renews without waiting for its own transactions.
    #expect(try await store.renewLease("work", holder: 2, fence: 2, length: .seconds(30)))
    await fixture.close()
  }
}
