import Metadata
import Runtime
import Synchronization
import TestSupport

/// The database as one process reaches it.
final class SimulatedDriver: SQLDriver {
  /// That of a database server: several writers live side by side.
  let dialect: SQLDialect
  private let database: SimulatedDatabase
  private let process: SimulatedProcess

  init(
    _ database: SimulatedDatabase, process: SimulatedProcess, dialect: SQLDialect = .postgres
  ) {
    self.database = database
    self.process = process
    self.dialect = dialect
  }

  func read<T: Sendable>(
    _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    await database.travel()
    await process.pass(database.clock)
    try requireReach()
    let session = SimulatedSession(database, isReading: true, process: process)
    defer { database.close(session) }
    do {
      let result = try await body(session)
      await database.travel()
      try requireReach()
      return result
    } catch {
      throw database.metadataError(error)
    }
  }

  func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    await database.travel()
    process.noteWrite()
    await process.pass(database.clock)
    try requireReach()
    let faults = database.faults
    if database.chance(faults.failures) { throw MetadataError.unavailable("connection lost") }
    do {
      if database.chance(faults.repeats) { _ = try await database.transact(body, keeps: false) }
      if database.chance(faults.unknownOutcomes) {
        let isKept = database.chance(500)
        _ = try await database.transact(body, keeps: isKept)
        await database.travel()
        throw MetadataError.unknownOutcome
      }
      let isForgotten = database.chance(faults.forgets)
      let result = try await database.transact(body, keeps: !isForgotten)
      process.noteCommit()
      await database.travel()
      // Committed: whether a process that died meanwhile hears of it makes no difference.
      if process.isDead { throw MetadataError.unknownOutcome }
      return result
    } catch {
      throw database.metadataError(error)
    }
  }

  func backup(to path: String) async throws {
    throw MetadataError.unavailable("no backup in a simulation")
  }

  private func requireReach() throws {
    if process.isDead { throw MetadataError.unavailable("the process is dead") }
    if database.faults.isDown { throw MetadataError.unavailable("the database is down") }
  }
}

/// A process of a simulation: once it is dead, nothing that it still does reaches anyone.
final class SimulatedProcess: Sendable {
  private let dead = Atomic(false)

  var isDead: Bool { dead.load(ordering: .relaxed) }

  func kill() { dead.store(true, ordering: .relaxed) }

  private let stopped = Atomic(false)

  /// Stops the process, or lets it go on, as SIGSTOP and SIGCONT do.
  func setStopped(_ isStopped: Bool) {
    writesToStop.store(0, ordering: .relaxed)
    stopped.store(isStopped, ordering: .relaxed)
  }

  private let writesToStop = Atomic(0)

  /// Stops the process when it is about to write to the database for the `count`th time from now.
  func stop(atWrite count: Int) { writesToStop.store(count, ordering: .relaxed) }

  /// The process is about to write to the database.
  func noteWrite() {
    let left = writesToStop.load(ordering: .relaxed)
    guard left > 0 else { return }
    writesToStop.store(left - 1, ordering: .relaxed)
    if left == 1 { setStopped(true) }
  }

  private let commitsToDeath = Atomic(0)

  /// Kills the process as soon as it has committed for the `count`th time from now, before anything
  /// comes of that.
  func kill(behindCommit count: Int) { commitsToDeath.store(count, ordering: .relaxed) }

  /// A transaction of the process was committed.
  func noteCommit() {
    let left = commitsToDeath.load(ordering: .relaxed)
    guard left > 0 else { return }
    commitsToDeath.store(left - 1, ordering: .relaxed)
    if left == 1 { kill() }
  }

  /// Waits while the process is stopped, in tasks that are cancelled as well.
  func pass(_ clock: SimulatedClock) async {
    while stopped.load(ordering: .relaxed), !isDead { await clock.stay(.milliseconds(500)) }
  }
}
