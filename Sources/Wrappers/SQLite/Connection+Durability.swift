import CSQLite

extension Connection {
  /// When a commit is on stable storage.
  public enum Synchronous: String, Sendable {
    /// Once the commit returns: the log is synced each time.
    case full = "FULL"
    /// Some time later: a power cut may take acknowledged commits.
    case off = "OFF"
  }

  /// Switches to a write-ahead log that nothing but `checkpoint` empties.
  ///
  /// Throws when the file system cannot hold one.
  public func useWriteAheadLog(
    synchronous: Synchronous, sizeLimit: Int64
  ) throws(SQLiteError) {
    guard try text("PRAGMA journal_mode=WAL") == "wal" else {
      throw SQLiteError(extendedCode: SQLITE_CANTOPEN, doing: "switch to a write-ahead log")
    }
    try execute("PRAGMA synchronous=\(synchronous.rawValue)")
    try execute("PRAGMA journal_size_limit=\(sizeLimit)")
    try check(unsafe sqlite3_wal_autocheckpoint(handle, 0), "stop automatic checkpoints")
    unsafe sqlite3_wal_hook(
      handle,
      { cell, _, _, pages in
        unsafe cell?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, logPagesCell)
  }

  /// Pages in the log after this connection's last commit; 0 before its first.
  public var logPages: Int { Int(unsafe logPagesCell.pointee) }

  /// Has the end of the last connection leave the log as it is: for a disk that is not trusted any
  /// more.
  public func leaveLogAtClose() throws(SQLiteError) {
    try check(
      unsafe csqlite_set_flag(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1),
      "leave the log at close")
  }

  /// How hard a checkpoint tries.
  public enum Checkpoint: Sendable {
    /// Copies what no reader stands in the way of.
    case passive
    /// Copies all, waits for readers, so that the next commit starts the log anew.
    case restart
    /// The same, and cuts the log to nothing.
    case truncate
  }

  /// Copies committed pages from the log to the database.
  ///
  /// Returns the pages in the log and how many of them are copied now. A reader in the way is no
  /// error: it leaves pages to the next time.
  public func checkpoint(
    _ mode: Checkpoint
  ) throws(SQLiteError) -> (logPages: Int, copiedPages: Int) {
    let operation =
      switch mode {
      case .passive: SQLITE_CHECKPOINT_PASSIVE
      case .restart: SQLITE_CHECKPOINT_RESTART
      case .truncate: SQLITE_CHECKPOINT_TRUNCATE
      }
    var log: Int32 = -1
    var copied: Int32 = -1
    let status = unsafe sqlite3_wal_checkpoint_v2(handle, nil, operation, &log, &copied)
    guard status == SQLITE_OK || status & 0xff == SQLITE_BUSY else {
      throw SQLiteError(extendedCode: status, doing: "checkpoint")
    }
    return (Int(log), Int(copied))
  }

  /// Problems that SQLite finds in the file, at most `limit`; empty when it finds none.
  public func quickCheck(limit: Int = 100) throws(SQLiteError) -> [String] {
    let statement = try prepare("PRAGMA quick_check(\(limit))")
    defer { statement.reset() }
    var problems: [String] = []
    while try statement.step() {
      let line = statement.text(at: 0)
      if line != "ok" { problems.append(line) }
    }
    return problems
  }
}
