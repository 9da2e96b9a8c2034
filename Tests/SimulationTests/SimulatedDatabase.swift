import Base
import Metadata
import Runtime
import SQLite
import Synchronization
import TestSupport

/// One SQL database that all gateways of a simulation share: SQLite in memory.
///
/// A transaction runs at once, so that transactions are serial; between two queries of a read
/// without snapshot others may commit. Confined to the thread of the simulation.
final class SimulatedDatabase: @unchecked Sendable {
  /// What may go wrong.
  struct Faults {
    /// Out of reach.
    var isDown = false
    /// Of 1000 transactions, how many fail before anything has changed.
    var failures = 0
    /// Of 1000 transactions, how many end with nobody knowing whether they committed.
    var unknownOutcomes = 0
    /// Of 1000 transactions, how many the database gives up and runs again.
    var repeats = 0
    /// Takes every writer for a live one; only a broken double does.
    var ignoresFences = false
    /// Takes every lease for the one that lasts; only a broken double does.
    var ignoresLeases = false
    /// Says that no writer lives, so that no read of another gateway counts; only a broken double.
    var hidesWriters = false
    /// Acknowledges now and then what it did not commit; only a broken double does.
    var forgets = 0
  }

  let connection: Connection
  let scheduler: SimulatedScheduler
  let clock: SimulatedClock
  let wallClock: SimulatedWallClock
  var faults = Faults()
  /// Commits that must not have been.
  var violations: [String] = []
  /// Errors of SQL itself, which no fault explains.
  var sqlErrors: [String] = []
  private let random: SeededRandom
  private var statements: [Int: Statement] = [:]

  init(scheduler: SimulatedScheduler, seed: UInt64) throws {
    connection = try Connection(path: ":memory:", mode: .readWrite)
    try connection.execute("PRAGMA foreign_keys=ON")
    self.scheduler = scheduler
    clock = SimulatedClock(scheduler)
    wallClock = SimulatedWallClock(scheduler)
    random = SeededRandom(seed: seed)
  }

  func chance(_ perMille: Int) -> Bool {
    perMille > 0 && Int(random.next() % 1000) < perMille
  }

  /// Waits as a round trip does.
  func travel() async {
    await clock.rest(.microseconds(200 + Int(random.next() % 3000)))
  }

  func prepared(_ statement: SQLStatement) throws -> Statement {
    if let known = statements[statement.number] { return known }
    let compiled = try connection.prepare(SQLDialect.sqlite.render(statement.text))
    statements[statement.number] = compiled
    return compiled
  }

  /// Runs a transaction; what it throws has changed nothing.
  func transact<T>(
    _ body: (any SQLSession) async throws -> T, keeps: Bool, isObserver: Bool = false
  ) async throws -> T {
    try connection.execute("BEGIN IMMEDIATE")
    let before = scheduler.steps
    do {
      let session = SimulatedSession(self, isReading: false, isObserver: isObserver)
      let result = try await body(session)
      try await session.memo.flush(to: session)
      if keeps { try session.checkFences() }
      precondition(scheduler.steps == before, "a transaction waited for something")
      try connection.execute(keeps ? "COMMIT" : "ROLLBACK")
      return result
    } catch {
      precondition(scheduler.steps == before, "a transaction waited for something")
      if connection.isInTransaction { try connection.execute("ROLLBACK") }
      throw error
    }
  }

  /// Looks at the database as nobody in the simulation can: at once and whatever is wrong.
  func peek<T>(_ body: (any SQLSession) async throws -> T) async throws -> T {
    try await transact(body, keeps: true, isObserver: true)
  }

  func metadataError(_ error: any Error) -> MetadataError {
    if let error = error as? MetadataError { return error }
    sqlErrors.append("\(error)")
    return .unavailable("\(error)")
  }
}

/// Statements on the shared connection.
final class SimulatedSession: SQLSession {
  let memo = TransactionMemo()
  let database: SimulatedDatabase
  private let isReading: Bool
  /// Sees what is so, whatever is wrong, and is nobody's work.
  let isObserver: Bool
  private var hasSnapshot = false
  private var count = 0
  /// The epochs of the extents and versions that the transaction made.
  var made: Set<UInt64> = []

  init(_ database: SimulatedDatabase, isReading: Bool, isObserver: Bool = false) {
    self.database = database
    self.isReading = isReading
    self.isObserver = isObserver
  }

  func now() async throws -> Timestamp { database.wallClock.now }

  func snapshot() async throws { hasSnapshot = true }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    count += 1
    if isReading, !hasSnapshot, count > 1 { await database.travel() }
    let compiled = try database.prepared(statement)
    defer { compiled.reset() }
    try bind(values, to: compiled)
    let columnCount = compiled.columnCount
    var rows = SQLRows(columnCount: columnCount)
    if let answer = brokenAnswer(statement) { return answer }
    while try compiled.step() {
      for column in 0..<columnCount { rows.values.append(Self.value(compiled, column)) }
    }
    return rows
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    let compiled = try database.prepared(statement)
    defer { compiled.reset() }
    try bind(values, to: compiled)
    noteMade(statement, values)
    while try compiled.step() {}
    return database.connection.changes
  }

  func define(_ text: String) async throws { try database.connection.execute(text) }

  static func value(_ statement: Statement, _ column: Int) -> SQLValue {
    switch statement.kind(at: column) {
    case .integer: .int(statement.integer(at: column))
    case .text: .text(statement.text(at: column))
    case .bytes: .bytes(statement.bytes(at: column))
    case .real, .null: .null
    }
  }

  func bind(_ values: [SQLValue], to statement: Statement) throws {
    for (index, value) in values.enumerated() {
      switch value {
      case .null: try statement.bindNull(at: index + 1)
      case .int(let number): try statement.bind(number, at: index + 1)
      case .text(let text): try statement.bind(text, at: index + 1)
      case .bytes(let bytes): try statement.bind(bytes, at: index + 1)
      }
    }
  }
}
