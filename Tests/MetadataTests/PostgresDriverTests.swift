import Base
import Foundation
import Metadata
import MetadataPostgres
import Synchronization
import TestSupport
import Testing

/// A number that tasks raise.
final class Count: Sendable {
  private let state = Mutex(0)
  var value: Int { state.withLock { $0 } }
  func add() { state.withLock { $0 += 1 } }
}

@Suite("The PostgreSQL driver", .enabled(if: PostgresServer.isInstalled))
struct PostgresDriverTests {
  private static let sleep = SQLStatement("SELECT CAST(1 AS @int) FROM pg_sleep(30)")
  private static let set = SQLStatement(
    """
    INSERT INTO settings(name, value) VALUES($1, $2)
    ON CONFLICT(name) DO UPDATE SET value = excluded.value
    """)

  @Test("a look-up is one round trip, and a commit that replaces nothing is three")
  func roundTrips() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions, databaseClock: true)
    let bucket = try await fixture.bucket()
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "warm")))
    var before = fixture.roundTrips
    _ = try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    #expect(fixture.roundTrips - before == 3)
    before = fixture.roundTrips
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: true)
    #expect(found.version?.inline != nil)
    #expect(fixture.roundTrips - before == 1)
    await fixture.close()
  }

  @Test("no more than some hundred statements are kept back, whoever waits for their rows")
  func bounded() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let driver = fixture.postgres.driver
    let one = SQLStatement("SELECT 1")
    try await driver.write(cost: 1) { session in
      let found = Mutex(0)
      for _ in 0..<600 {
        try await session.check(one, []) { rows in found.withLock { $0 += rows.count } }
      }
      #expect(found.withLock { $0 } >= 300)
      _ = try await session.query(one, [])
      #expect(found.withLock { $0 } == 600)
    }
    await fixture.close()
  }

  @Test("time comes from the database")
  func clock() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions, databaseClock: true)
    let bucket = try await fixture.bucket()
    let made = try await fixture.store.commit(fixture.inlineCommit(bucket, .init(key: "k")))
    let now = try await fixture.store.now()
    #expect(now.milliseconds >= made.lastModified.milliseconds)
    #expect(made.lastModified.milliseconds > fixture.clock.now.milliseconds)
    await fixture.close()
  }

  @Test("a statement that takes too long is given up by the server, and the connection is kept")
  func statementTimeout() async throws {
    var options = Fixture.patientOptions
    options.poolSize = 1
    options.statementTimeout = 1000
    let fixture = try await Fixture(postgres: options)
    await #expect {
      try await fixture.postgres.driver.read { _ = try await $0.query(Self.sleep, []) }
    } throws: { error in
      guard case .unavailable(let text) = error as? MetadataError else { return false }
      return text.contains("57014")
    }
    #expect(try await fixture.store.setting("x") == nil)
    #expect(fixture.postgres.driver.connections.open == 1)
    await fixture.close()
  }

  @Test("a pool that is used up makes few wait, not long, and recovers")
  func exhaustion() async throws {
    var options = Fixture.patientOptions
    options.poolSize = 1
    options.maximumWaiting = 2
    options.patience = 3000
    let fixture = try await Fixture(postgres: options)
    let driver = fixture.postgres.driver
    let held = AsyncStream<Void>.makeStream()
    let release = AsyncStream<Void>.makeStream()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        try await driver.write(cost: 1) { session in
          _ = try await session.run(Self.set, [.text("held"), .bytes([1])])
          held.continuation.yield()
          for await _ in release.stream { break }
        }
      }
      for await _ in held.stream { break }
      #expect(driver.connections.idle == 0)
      let failures = await withTaskGroup(of: String.self) { group in
        for _ in 0..<5 {
          group.addTask {
            do {
              _ = try await fixture.store.setting("x")
              return "none"
            } catch {
              return "\(error)"
            }
          }
        }
        return await group.reduce(into: []) { $0.append($1) }
      }
      #expect(failures.count { $0.contains("too many requests") } == 3)
      #expect(failures.count { $0.contains("free in time") } == 2)
      #expect(driver.connections.waiting == 0)
      // One that waits gets the connection when it comes back.
      group.addTask {
        let held = try await fixture.store.setting("held")
        #expect(held == [1])
      }
      while driver.connections.waiting == 0 { try await Task.sleep(for: .milliseconds(1)) }
      release.continuation.yield()
      try await group.waitForAll()
    }
    #expect(driver.connections.idle == 1)
    await fixture.close()
  }

  @Test("those who give up waiting leave the line")
  func cancelledWait() async throws {
    var options = Fixture.patientOptions
    options.poolSize = 1
    let fixture = try await Fixture(postgres: options)
    let driver = fixture.postgres.driver
    try await driver.write(cost: 1) { session in
      _ = try await session.run(Self.set, [.text("held"), .bytes([1])])
      let task = Task { try await fixture.store.setting("x") }
      while driver.connections.waiting == 0 { try await Task.sleep(for: .milliseconds(1)) }
      task.cancel()
      await #expect(throws: MetadataError.self) { try await task.value }
      #expect(driver.connections.waiting == 0)
    }
    #expect(try await fixture.store.setting("held") == [1])
    await fixture.close()
  }

  @Test("transactions that wait for each other are both done, one after the other")
  func deadlock() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let driver = fixture.postgres.driver
    for name in ["a", "b"] { try await fixture.store.setSetting(name, [0]) }
    let first = Count()
    let update = SQLStatement("UPDATE settings SET value = $1 WHERE name = $2")
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (index, names) in [["a", "b"], ["b", "a"]].enumerated() {
        group.addTask {
          try await driver.write(cost: 1) { session in
            _ = try await session.run(update, [.bytes([UInt8(index)]), .text(names[0])])
            first.add()
            while first.value < 2 { try await Task.sleep(for: .milliseconds(1)) }
            _ = try await session.run(update, [.bytes([UInt8(index)]), .text(names[1])])
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await fixture.store.setting("a") == fixture.store.setting("b"))
    #expect(driver.metrics.transactions.retried >= 1)
    await fixture.close()
  }

  @Test("a commit that the server refuses for a collision is run again, from the start")
  func collisionInCommit() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    guard case .postgres(let metadata, let server, let name) = fixture.database else { return }
    // A sequence is not rolled back, so that the trigger fails the first two commits only.
    for statement in [
      "CREATE SEQUENCE attempts",
      """
      CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('attempts') <= 2 THEN
          RAISE EXCEPTION 'collision' USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NULL;
      END $$
      """,
      """
      CREATE CONSTRAINT TRIGGER collide AFTER INSERT ON object_versions
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION collide()
      """,
    ] { try await TestDatabases.run(server, statement, database: name) }
    let bucket = try await fixture.bucket()
    let before = metadata.driver.metrics.transactions
    let made = try await fixture.store.commit(
      fixture.inlineCommit(bucket, .init(key: "k"), condition: .absent))
    let after = metadata.driver.metrics.transactions
    #expect(after.retried - before.retried == 2)
    #expect(after.unanswered == 0)
    let found = try await fixture.store.lookUp(
      bucket: "bucket", tenant: 1, key: .init(key: "k"), versionID: nil, withContent: false)
    #expect(found.version?.number == made.number)
    #expect(try await fixture.store.usage(of: bucket.id) == Usage(objects: 1, bytes: 5))
    await fixture.close()
  }

  @Test("a body that goes on after a statement failed commits nothing")
  func swallowedFailure() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    let bad = SQLStatement("SELECT CAST(1 AS @int) / CAST(0 AS @int)")
    await #expect(throws: MetadataError.self) {
      try await fixture.postgres.driver.write(cost: 1) { session in
        _ = try await session.run(Self.set, [.text("lost"), .bytes([1])])
        _ = try? await session.query(bad, [])
      }
    }
    #expect(try await fixture.store.setting("lost") == nil)
    await fixture.close()
  }

  @Test("text with a zero byte is refused before anything is sent")
  func zeroByte() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    await #expect(throws: MetadataError.self) { try await fixture.store.setSetting("a\0b", [1]) }
    try await fixture.store.setSetting("ab", [1])
    #expect(try await fixture.store.setting("ab") == [1])
    await fixture.close()
  }

  @Test("what is asked for after the end fails")
  func closed() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    await fixture.close()
    await #expect(throws: MetadataError.unavailable("the metadata database is closed")) {
      try await fixture.bucket()
    }
    await #expect(throws: MetadataError.unavailable("the metadata database is closed")) {
      try await fixture.store.setting("x")
    }
    #expect(fixture.postgres.driver.connections.open == 0)
  }

  @Test("the model holds behind a pooler's rules: nothing prepared, nothing set in a session")
  func pooler() async throws {
    var options = Fixture.patientOptions
    options.usesPooler = true
    let fixture = try await Fixture(postgres: options)
    let bucket = try await fixture.bucket()
    for index in 0..<10 {
      _ = try await fixture.store.commit(
        fixture.extentCommit(bucket, .init(key: "k\(index % 3)"), extents: [fixture.extent(5)]))
    }
    #expect(try await fixture.store.usage(of: bucket.id) == Usage(objects: 3, bytes: 15))
    #expect(try await fixture.store.list(ListRequest(bucket: bucket.id, limit: 9)).rows.count == 3)
    await fixture.close()
  }

  @Test("rows that tell of outcomes do not pile up")
  func outcomes() async throws {
    let fixture = try await Fixture(postgres: Fixture.patientOptions)
    guard case .postgres(_, let server, let name) = fixture.database else { return }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask {
          for index in 0..<1300 {
            try await fixture.store.setSetting("s\(task)", [UInt8(index & 7)])
          }
        }
      }
      try await group.waitForAll()
    }
    let rows = try await TestDatabases.run(
      server, "SELECT count(*) FROM transaction_outcomes", database: name)
    #expect((Int(rows.rows[0][0]) ?? 0) < 8192)
    await fixture.close()
  }
}
