import CSQLite

/// A copy of a whole database into another file, in steps of bounded size.
///
/// Between steps the source may be written through the connection that the backup reads: SQLite
/// brings pages that were copied already up to date. Confined to the thread of both connections.
@safe
public final class Backup {
  private let handle: OpaquePointer
  private let source: Connection
  private let target: Connection

  /// Begins a copy of `source` into `target`, which is empty.
  public init(from source: Connection, to target: Connection) throws(SQLiteError) {
    guard let started = unsafe sqlite3_backup_init(target.handle, "main", source.handle, "main")
    else {
      throw SQLiteError(
        extendedCode: unsafe sqlite3_extended_errcode(target.handle), doing: "begin a backup")
    }
    unsafe handle = unsafe started
    self.source = source
    self.target = target
  }

  deinit {
    unsafe sqlite3_backup_finish(handle)
  }

  /// Copies at most `pages` pages; true when all is copied and the target is complete.
  public func step(pages: Int32) throws(SQLiteError) -> Bool {
    switch unsafe sqlite3_backup_step(handle, pages) {
    case SQLITE_DONE: return true
    case SQLITE_OK: return false
    case let status: throw SQLiteError(extendedCode: status, doing: "back up")
    }
  }

  /// Pages still to be copied, as of the last step.
  public var remainingPages: Int { Int(unsafe sqlite3_backup_remaining(handle)) }
}
