import Base

extension TransactionMemo {
  /// How far a mark is dated back: further than a transaction's clock runs between its first
  /// statement and its end, so that a mark is never younger than what its transaction made.
  static let markMargin: Int64 = 60_000

  private static let logID = SQLStatement("SELECT value FROM settings WHERE name = 'change_log'")
  private static let insertMark = SQLStatement(
    """
    INSERT INTO change_marks(epoch, created_ms, touched, founding) VALUES($1, $2, $3, $4)
    RETURNING id
    """)

  /// Notes a row that was changed.
  func note(_ change: RowChange) {
    if changes.count > content.changeCount {
      changes.removeLast(changes.count - content.changeCount)
    }
    changes.append(change)
    content.changeCount += 1
  }

  /// Notes that there is no row of that key, and that a mutation is answered accordingly without
  /// changing anything: whoever took it away has to be in the log first.
  func noteAbsent(_ table: Substring, _ key: [SQLValue]) {
    guard let table = LoggedTable.named(table) else { return }
    absent.append(RowChange(table: table.number, isDelete: true, values: key))
  }

  /// What resolves to the record of this transaction.
  func ticketOfTransaction() -> ChangeTicket {
    if let ticket { return ticket }
    let made = ChangeTicket()
    ticket = made
    return made
  }

  /// Marks the changes in the database, which numbers them, and hands their record out.
  func flushChanges(to session: any SQLSession) async throws {
    if hasDeferred {
      // Its answer comes behind all that is on its way.
      _ = try await session.query(Self.logID, [])
      hasDeferred = false
    }
    let gathered = Array(changes.prefix(content.changeCount))
    let (ticket, looksBack, isFounding) = (ticket, looksBack, isFounding)
    // A driver may keep the memo for the next transaction.
    (changes, self.ticket, self.looksBack, self.isFounding) = ([], nil, false, nil)
    guard !gathered.isEmpty else { return }
    var touched = ByteWriter(capacity: 64 * gathered.count)
    for change in gathered {
      guard let table = LoggedTable.numbered(change.table) else { continue }
      touched.write(change.table)
      RowCodec.write(Array(change.values.prefix(table.keyCount)), to: &touched)
    }
    let founds = isFounding ?? Foundation.isLaid(by: gathered)
    let created = try await session.now().milliseconds &- Self.markMargin
    let former = FormerMarks()
    if looksBack { try await former.look(session, under: gathered, epoch: changeEpoch) }
    let rows = try await session.query(
      Self.insertMark,
      [.int(changeEpoch), .int(created), .bytes(touched.bytes), .int(founds ? 1 : 0)])
    guard let number = try rows.first?.int(0) else {
      throw MetadataError.unavailable("a mark without a number")
    }
    ticket?.resolve(
      ChangeRecord(number: number, changes: gathered), former: former.numbers)
  }
}
