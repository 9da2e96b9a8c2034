import Base

extension SQLMetadataStore {
  private enum SQL {
    static let founding = SQLStatement(
      "SELECT id, epoch, touched FROM change_marks WHERE founding = 1 ORDER BY id")
    static let mark = SQLStatement("SELECT id, epoch, touched FROM change_marks WHERE id = $1")
  }

  /// Returns when the changes that these marks stand for are in the log, whoever made them: what a
  /// transaction builds on, before it is acknowledged.
  ///
  /// Those that are not known to be there are logged here as they are by now, under a number of
  /// their own. The marks stay for their writers, or who finds them when these are gone. Throws
  /// `unknownOutcome` when the log is out of reach.
  func logFoundation(_ former: Set<Int64>, _ sink: any ChangeSink) async throws {
    let state = changeLog
    guard !state.unlogged(former, sink).isEmpty else { return }
    let epoch = Int64(self.epoch ?? 0)
    let isShared = driver.dialect == .postgres
    let (ticket, numbers) = try await driver.write(cost: 4096) { session in
      if isShared { try await Self.keepOrder(session) }
      // One that is gone is in the log, or another process logs it and has left a mark that says so.
      var marks = try Self.marks(try await session.query(SQL.founding, []))
      let known = Set(marks.map(\.number))
      for number in former.subtracting(known).sorted() {
        marks += try Self.marks(try await session.query(SQL.mark, [.int(number)]))
      }
      let owed = state.unlogged(Set(marks.map(\.number)), sink)
      session.memo.changeEpoch = epoch
      // The marks that stay say so already.
      session.memo.isFounding = false
      let count = try await Self.note(marks.filter { owed.contains($0.number) }, session)
      return (count == 0 ? nil : session.memo.ticketOfTransaction(), owed)
    }
    if let record = ticket?.record { try await sink.append(record) }
    state.noteLogged(numbers.union(former))
  }

  /// Returns when a version that was found is in the log, whoever made it: before it is told of as
  /// what the caller has done. Throws `unknownOutcome` when the log is out of reach.
  public func confirmLogged(_ version: VersionNumber) async throws {
    guard try await isLogging(), let sink = changeLog.sink, sink.hasStores else { return }
    guard let table = LoggedTable.named("object_versions") else { return }
    let key = RowChange(table: table.number, isDelete: true, values: [.int(version.rawValue)])
    do {
      let former = try await driver.read { session in
        let former = FormerMarks()
        try await former.look(session, for: [key])
        return former.numbers
      }
      try await logFoundation(former, sink)
    } catch {
      throw MetadataError.unknownOutcome
    }
  }

  static func marks(_ rows: SQLRows) throws -> [ChangeMark] {
    try rows.map { row in
      ChangeMark(number: try row.int(0), epoch: try row.int(1), rows: try touched(try row.bytes(2)))
    }
  }
}
