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
    /// A rebuild takes nothing back; only a broken double does.
    var keepsDeleted = false
  }

  private(set) var tables: SimulatedTables
  let scheduler: SimulatedScheduler
  let clock: SimulatedClock
  let wallClock: SimulatedWallClock
  var faults = Faults()
  /// Commits that must not have been.
  var violations: [String] = []
  /// Errors of SQL itself, which no fault explains.
  var sqlErrors: [String] = []
  private let random: SeededRandom
  /// Reads that want to go on seeing what is there now.
  private var snapshots: [SimulatedSession] = []

  init(scheduler: SimulatedScheduler, seed: UInt64) throws {
    tables = try SimulatedTables()
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

  /// All that is in it is lost; what is there then has this release's schema, and nothing else.
  func lose() throws {
    tables = try SimulatedTables()
    faults = Faults(keepsDeleted: faults.keepsDeleted)
  }

  // MARK: Snapshots

  func open(_ snapshot: SimulatedSession) { snapshots.append(snapshot) }

  func close(_ session: SimulatedSession) { snapshots.removeAll { $0 === session } }

  /// Something is about to change: who reads a snapshot gets a copy.
  private func keepSnapshots() throws {
    guard snapshots.contains(where: { $0.frozen == nil }) else { return }
    let copy = try tables.copy()
    for session in snapshots where session.frozen == nil { session.frozen = copy }
  }

  /// Runs a transaction; what it throws has changed nothing.
  func transact<T>(
    _ body: (any SQLSession) async throws -> T, keeps: Bool, isObserver: Bool = false
  ) async throws -> T {
    try keepSnapshots()
    let connection = tables.connection
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
  private let process: SimulatedProcess?
  /// Sees what is so, whatever is wrong, and is nobody's work.
  let isObserver: Bool
  private var hasSnapshot = false
  /// What was there when the snapshot was taken, once that has changed.
  var frozen: SimulatedTables?
  private var count = 0
  /// Whether the transaction changed anything but marks of changes.
  var hasChanged = false
  /// The epochs of the extents and versions that the transaction made.
  var made: Set<UInt64> = []

  init(
    _ database: SimulatedDatabase, isReading: Bool, process: SimulatedProcess? = nil,
    isObserver: Bool = false
  ) {
    self.database = database
    self.process = process
    self.isReading = isReading
    self.isObserver = isObserver
  }

  func now() async throws -> Timestamp { database.wallClock.now }

  func snapshot() async throws {
    hasSnapshot = true
    if isReading { database.open(self) }
  }

  private var tables: SimulatedTables { frozen ?? database.tables }

  func query(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> SQLRows {
    count += 1
    if isReading, !hasSnapshot, count > 1 { await database.travel() }
    if process?.isDead == true { throw MetadataError.unavailable("the process is dead") }
    let compiled = try tables.prepared(statement)
    defer { compiled.reset() }
    try Self.bind(values, to: compiled)
    let columnCount = compiled.columnCount
    var rows = SQLRows(columnCount: columnCount)
    if let answer = brokenAnswer(statement) { return answer }
    // Where there is a change log, statements that change rows return them.
    noteMade(statement, values)
    while try compiled.step() {
      for column in 0..<columnCount { rows.values.append(Self.value(compiled, column)) }
    }
    return rows
  }

  func run(_ statement: SQLStatement, _ values: [SQLValue]) async throws -> Int {
    if isForgotten(statement) { return 1 }
    let compiled = try tables.prepared(statement)
    defer { compiled.reset() }
    try Self.bind(values, to: compiled)
    noteMade(statement, values)
    while try compiled.step() {}
    return tables.connection.changes
  }

  func define(_ text: String) async throws {
    // Transactions are serial without it.
    if text.hasPrefix("LOCK TABLE") { return }
    try tables.connection.execute(text)
  }

  static func value(_ statement: Statement, _ column: Int) -> SQLValue {
    switch statement.kind(at: column) {
    case .integer: .int(statement.integer(at: column))
    case .text: .text(statement.text(at: column))
    case .bytes: .bytes(statement.bytes(at: column))
    case .real, .null: .null
    }
  }

  static func bind(_ values: [SQLValue], to statement: Statement) throws {
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
