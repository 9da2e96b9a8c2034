import Base
import Synchronization

/// Whether changes are marked for the log, and who takes them there.
final class ChangeLogState: Sendable {
  private struct State {
    var id: [UInt8]?
    var sink: (any ChangeSink)?
    /// Marks of others whose changes this process has logged as well.
    var loggedAlong: Set<Int64> = []
  }

  /// Of so many that is remembered; what is forgotten is logged once more.
  private static let memory = 4096

  private let state = Mutex(State())

  /// The log in force; empty for none, nil before the database was asked.
  var id: [UInt8]? {
    get { state.withLock { $0.id } }
    set { state.withLock { $0.id = newValue } }
  }

  var sink: (any ChangeSink)? {
    get { state.withLock { $0.sink } }
    set { state.withLock { $0.sink = newValue } }
  }

  /// Which of these marks stand for changes that are not known to be in the log.
  func unlogged(_ numbers: Set<Int64>, _ sink: any ChangeSink) -> Set<Int64> {
    guard !numbers.isEmpty else { return [] }
    let along = state.withLock { $0.loggedAlong }
    return numbers.filter { !along.contains($0) && !sink.isLogged($0) }
  }

  /// The changes of these marks are in the log.
  func noteLogged(_ numbers: Set<Int64>) {
    state.withLock { state in
      state.loggedAlong.formUnion(numbers)
      let excess = state.loggedAlong.count - Self.memory
      if excess > 0 { state.loggedAlong.subtract(state.loggedAlong.sorted().prefix(excess)) }
    }
  }
}

/// The mark of a transaction whose changes are not known to be in the log.
public struct ChangeMark: Hashable, Sendable {
  /// The number of the transaction.
  public var number: Int64
  /// The epoch of the writer whose transaction it was.
  public var epoch: Int64
  /// The keys of the rows that it changed, by table.
  public var rows: [RowChange]
}

extension SQLMetadataStore {
  private enum SQL {
    static let logID = SQLStatement("SELECT value FROM settings WHERE name = 'change_log'")
    static let setLogID = SQLStatement(
      """
      INSERT INTO settings(name, value) VALUES('change_log', $1)
      ON CONFLICT(name) DO UPDATE SET value = excluded.value
      """)
    static let mark = SQLStatement(
      "INSERT INTO change_marks(epoch, created_ms, touched) VALUES(0, $1, $2) RETURNING id")
    static let deleteMarks = SQLStatement(
      "DELETE FROM change_marks WHERE id BETWEEN $1 AND $2")
    static let deleteAllMarks = SQLStatement("DELETE FROM change_marks WHERE id > 0")
    static let marks = SQLStatement(
      "SELECT id, epoch, touched FROM change_marks WHERE id > $1 ORDER BY id LIMIT $2")
    static let pending = SQLStatement("SELECT count(*), min(id) FROM change_marks")
  }

  /// Runs a mutation; where a change log is in force, what it changed is in the log when it
  /// returns. Throws `unknownOutcome` when it is committed and not in the log, and `unavailable`,
  /// with nothing committed, when there is no store yet that takes the log, unless
  /// `ChangeLogPolicy.mayLogLater`.
  func write<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    guard try await isLogging() else {
      guard driver.dialect == .postgres else {
        return try await driver.write(cost: cost, body)
      }
      return try await unlogged(cost: cost, body)
    }
    return try await logged(cost: cost, body)
  }

  /// Another gateway may have switched the log on: the transaction itself makes sure that there is
  /// none, else it is run again with it.
  private func unlogged<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    let found = Mutex<[UInt8]>([])
    do {
      return try await driver.write(cost: cost) { session in
        try await session.check(SQL.logID, []) { rows in
          guard let id = try rows.first?.bytes(0), !id.isEmpty else { return }
          found.withLock { $0 = id }
          throw MetadataError.preconditionFailed
        }
        return try await body(session)
      }
    } catch {
      let id = found.withLock { $0 }
      guard !id.isEmpty else { throw error }
      changeLog.id = id
      return try await logged(cost: cost, body)
    }
  }

  private func logged<T: Sendable>(
    cost: Int, _ body: @escaping @Sendable (any SQLSession) async throws -> T
  ) async throws -> T {
    let epoch = Int64(self.epoch ?? 0)
    let sink = changeLog.sink
    let isWithoutStores = sink.map { !$0.hasStores } ?? false
    let mayLogLater = ChangeLogPolicy.mayLogLater
    // Nobody else writes to a database of one process, which logs what it finds when it starts.
    let looksBack = driver.dialect == .postgres && !isWithoutStores && sink != nil
    let (result, ticket, former) = try await driver.write(cost: cost) { session in
      let memo = session.memo
      memo.changeEpoch = epoch
      memo.looksBack = looksBack
      let before = memo.content.changeCount
      memo.absent = []
      let result = try await body(RecordingSession(session))
      let former = FormerMarks()
      try await former.look(session, for: memo.absent)
      guard memo.content.changeCount > before || memo.hasDeferred else {
        return (result, ChangeTicket?.none, former.numbers)
      }
      guard !isWithoutStores || mayLogLater else {
        throw MetadataError.unavailable(
          "no storage server has joined yet that takes the change log")
      }
      return (result, memo.ticketOfTransaction(), former.numbers)
    }
    guard !isWithoutStores, let sink else { return result }
    do {
      if let record = ticket?.record { try await sink.append(record) }
      try await logFoundation(former.union(ticket?.former ?? []), sink)
    } catch {
      // It is committed: whatever keeps it out of the log, nobody may take it for refused and throw
      // away what it names.
      guard mayLogLater else { throw MetadataError.unknownOutcome }
    }
    return result
  }

  func isLogging() async throws -> Bool {
    if let id = changeLog.id { return !id.isEmpty }
    let id = try await changeLogID()
    changeLog.id = id
    return !id.isEmpty
  }

  // MARK: The log in force

  /// Names the change log in force; empty when there is none.
  public func changeLogID() async throws -> [UInt8] {
    try await driver.read { session in
      try await session.query(SQL.logID, []).first?.bytes(0) ?? []
    }
  }

  /// Puts a change log in force, or none (empty): from now on mutations are marked, and numbered.
  /// Marks of a log before it are forgotten.
  public func setChangeLogID(_ id: [UInt8]) async throws {
    let dialect = driver.dialect
    try await driver.write(cost: 512) { session in
      try await Self.lockChangeLog(session, dialect)
      try await Self.nameChangeLog(id, session)
    }
    changeLog.id = id
  }

  /// Puts the change log `id` in force unless there is one; returns the one in force. Several
  /// gateways may do so at once.
  public func beginChangeLog(_ id: [UInt8]) async throws -> [UInt8] {
    let dialect = driver.dialect
    let inForce = try await driver.write(cost: 512) { session in
      try await Self.lockChangeLog(session, dialect)
      let before = try await session.query(SQL.logID, []).first?.bytes(0) ?? []
      guard before.isEmpty else { return before }
      try await Self.nameChangeLog(id, session)
      return id
    }
    changeLog.id = inForce
    return inForce
  }

  /// Keeps others from naming a log until the transaction ends, and waits for those that have read
  /// which one is in force and are not committed yet.
  static func lockChangeLog(_ session: any SQLSession, _ dialect: SQLDialect) async throws {
    guard dialect == .postgres else { return }
    try await session.define("LOCK TABLE settings IN ACCESS EXCLUSIVE MODE")
  }

  /// Puts a log in force, or none (empty), in a transaction that has locked it; marks of the one
  /// before it are forgotten. `changeLog.id` is to follow.
  static func nameChangeLog(_ id: [UInt8], _ session: any SQLSession) async throws {
    try await session.run(SQL.setLogID, [.bytes(id)])
    try await session.run(SQL.deleteAllMarks, [])
  }

  /// Has `sink` take changes to the log from now on; nil has nobody do so: changes stay marked.
  public func setChangeSink(_ sink: (any ChangeSink)?) {
    changeLog.sink = sink
  }

  /// A number that every transaction has passed which was numbered before: those below it are
  /// committed, or given up for good, when it returns.
  public func changeBarrier() async throws -> Int64 {
    let isShared = driver.dialect == .postgres
    return try await driver.write(cost: 128) { session in
      if isShared { try await Self.keepOrder(session) }
      let now = try await session.now().milliseconds
      let rows = try await session.query(SQL.mark, [.int(now), .bytes([])])
      guard let number = try rows.first?.int(0) else {
        throw MetadataError.unavailable("a mark without a number")
      }
      try await session.run(SQL.deleteMarks, [.int(number), .int(number)])
      return number
    }
  }

  // MARK: Marks

  /// How many transactions are marked as not known to be in the log.
  public func pendingChanges() async throws -> Int64 {
    try await driver.read { session in
      try await session.query(SQL.pending, []).first?.int(0) ?? 0
    }
  }

  /// Marks behind a number, in order.
  public func changeMarks(after number: Int64, limit: Int) async throws -> [ChangeMark] {
    try await driver.read { session in
      try await Self.changeMarks(after: number, limit: limit, session)
    }
  }

  static func changeMarks(
    after number: Int64, limit: Int, _ session: any SQLSession
  ) async throws -> [ChangeMark] {
    try marks(try await session.query(SQL.marks, [.int(number), .int(Int64(max(limit, 0)))]))
  }

  static func touched(_ bytes: [UInt8]) throws -> [RowChange] {
    var reader = ByteReader(bytes)
    var rows: [RowChange] = []
    do throws(FormatError) {
      while !reader.isAtEnd {
        let table = try reader.readInteger(UInt8.self)
        rows.append(
          RowChange(table: table, isDelete: true, values: try RowCodec.read(from: &reader)))
      }
    } catch {
      throw MetadataError.unavailable("a mark of changes: \(error.message)")
    }
    return rows
  }

  /// Forgets the marks of transactions that are in the log, by their numbers in any order.
  public func forgetMarks(_ numbers: [Int64]) async throws {
    guard !numbers.isEmpty else { return }
    let ranges = Self.ranges(of: numbers)
    _ = try await driver.write(cost: 64 * ranges.count) { session in
      for range in ranges {
        try await session.run(SQL.deleteMarks, [.int(range.lowerBound), .int(range.upperBound)])
      }
    }
  }

  private static func ranges(of numbers: [Int64]) -> [ClosedRange<Int64>] {
    var ranges: [ClosedRange<Int64>] = []
    for number in numbers.sorted() {
      if let last = ranges.last, number - last.upperBound <= 1 {
        ranges[ranges.count - 1] = last.lowerBound...number
      } else {
        ranges.append(number...number)
      }
    }
    return ranges
  }

  /// Takes the rows of old marks to the log as they are now, under a new number, and forgets the
  /// marks: for what a process left behind that ended, or could not log in time.
  public func relog(_ marks: [ChangeMark]) async throws {
    guard !marks.isEmpty else { return }
    let isShared = driver.dialect == .postgres
    let state = changeLog
    let epoch = Int64(self.epoch ?? 0)
    let ticket = try await driver.write(cost: 4096) { session in
      if isShared { try await Self.keepOrder(session) }
      session.memo.changeEpoch = epoch
      // Their writers are not asked for by these rows any more.
      session.memo.isFounding = true
      let count = try await Self.note(marks, session)
      for mark in marks {
        try await session.run(SQL.deleteMarks, [.int(mark.number), .int(mark.number)])
      }
      return count == 0 ? nil : session.memo.ticketOfTransaction()
    }
    if let record = ticket?.record, let sink = state.sink { try await sink.append(record) }
  }

  /// Waits for transactions that were numbered and are not committed yet, and keeps others from
  /// being numbered: what this one reads now is not overtaken by one with a lesser number.
  static func keepOrder(_ session: any SQLSession) async throws {
    try await session.define("LOCK TABLE change_marks IN SHARE ROW EXCLUSIVE MODE")
  }

  /// Notes the rows of marks as they are now, as if the transaction had changed them; how many.
  static func note(_ marks: [ChangeMark], _ session: any SQLSession) async throws -> Int {
    var done: Set<RowChange> = []
    for row in marks.flatMap(\.rows) where done.insert(row).inserted {
      guard let table = LoggedTable.numbered(row.table) else { continue }
      let found = try await session.query(RowStatements.of(table).select, row.values)
      if found.count > 0 {
        session.memo.note(RowChange(table: row.table, isDelete: false, values: found.values))
      } else {
        session.memo.note(row)
      }
    }
    return done.count
  }
}
