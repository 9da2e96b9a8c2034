import CSQLite

/// One connection to a database file.
///
/// It belongs to one thread at a time: whoever hands it on makes sure of that, since it is opened
/// without SQLite's own mutexes. It waits for no lock unless told to: a lock held by another
/// connection is an error.
@safe
public final class Connection {
  /// How a file is opened.
  public enum Mode: Sendable {
    /// Only to read; the file exists.
    case readOnly
    /// To read and write; the file is made when it is not there.
    case readWrite
  }

  /// What one connection may use.
  public struct Options: Sendable {
    /// Kibibytes of page cache at most.
    public var cacheKibibytes: Int
    /// Bytes of one value or row at most.
    public var maximumValueLength: Int32
    /// The name of the SQLite VFS; nil for the default.
    public var fileSystem: String?

    /// Makes options.
    public init(
      cacheKibibytes: Int = 2048, maximumValueLength: Int32 = 16 << 20, fileSystem: String? = nil
    ) {
      self.cacheKibibytes = cacheKibibytes
      self.maximumValueLength = maximumValueLength
      self.fileSystem = fileSystem
    }
  }

  let handle: OpaquePointer
  /// Where SQLite's log hook leaves the length of the log.
  let logPagesCell: UnsafeMutablePointer<Int32>
  private var statements: [String: Statement] = [:]

  /// Opens the file at `path`.
  public init(path: String, mode: Mode, options: Options = Options()) throws(SQLiteError) {
    guard Library.isReady else { throw .misuse("initialise") }
    var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    switch mode {
    case .readOnly: flags |= SQLITE_OPEN_READONLY
    case .readWrite: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    }
    var opened: OpaquePointer?
    let status = unsafe Self.open(path, &opened, flags, options.fileSystem)
    guard status == SQLITE_OK, let database = unsafe opened else {
      unsafe sqlite3_close_v2(opened)
      throw SQLiteError(extendedCode: status, doing: "open")
    }
    unsafe handle = unsafe database
    unsafe logPagesCell = .allocate(capacity: 1)
    unsafe logPagesCell.initialize(to: 0)
    try configure(options)
  }

  deinit {
    statements = [:]
    // With all statements finalised this closes at once; one that is still held delays it.
    unsafe sqlite3_wal_hook(handle, nil, nil)
    unsafe sqlite3_close_v2(handle)
    unsafe logPagesCell.deallocate()
  }

  private static func open(
    _ path: String, _ opened: inout OpaquePointer?, _ flags: Int32, _ fileSystem: String?
  ) -> Int32 {
    guard let fileSystem else { return unsafe sqlite3_open_v2(path, &opened, flags, nil) }
    return unsafe sqlite3_open_v2(path, &opened, flags, fileSystem)
  }

  private func configure(_ options: Options) throws(SQLiteError) {
    // Double-quoted strings hide misspelt columns; a schema must not run functions of its own.
    for (flag, value) in [
      (SQLITE_DBCONFIG_DQS_DML, 0), (SQLITE_DBCONFIG_DQS_DDL, 0),
      (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_DEFENSIVE, 1),
    ] as [(Int32, Int32)] {
      try check(unsafe csqlite_set_flag(handle, flag, value), "configure")
    }
    unsafe sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, options.maximumValueLength)
    unsafe sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 1)
    try execute("PRAGMA mmap_size=0")
    try execute("PRAGMA temp_store=MEMORY")
    try execute("PRAGMA cache_size=-\(options.cacheKibibytes)")
  }

  /// Runs statements that return nothing of interest; for set-up and migrations.
  public func execute(_ sql: String) throws(SQLiteError) {
    try check(unsafe sqlite3_exec(handle, sql, nil, nil, nil), "execute")
  }

  /// Compiles one statement; the caller keeps it.
  public func prepare(_ sql: String) throws(SQLiteError) -> Statement {
    try Statement(self, sql)
  }

  /// The statement of that text, compiled once and kept as long as the connection.
  ///
  /// For a bounded set of texts only.
  public func cached(_ sql: String) throws(SQLiteError) -> Statement {
    if let statement = statements[sql] { return statement }
    let statement = try Statement(self, sql)
    statements[sql] = statement
    return statement
  }

  /// The first column of the first row of a query, as a number; nil without a row.
  public func number(_ sql: String) throws(SQLiteError) -> Int64? {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.integer(at: 0) : nil
  }

  /// The first column of the first row of a query, as text; nil without a row.
  public func text(_ sql: String) throws(SQLiteError) -> String? {
    let statement = try prepare(sql)
    defer { statement.reset() }
    return try statement.step() ? statement.text(at: 0) : nil
  }

  /// Rows that the last `INSERT`, `UPDATE` or `DELETE` changed.
  public var changes: Int { Int(unsafe sqlite3_changes64(handle)) }

  /// Whether a transaction is open.
  public var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// How long to wait for locks of other connections, in milliseconds; 0, as at first, not at all.
  public func setBusyTimeout(milliseconds: Int32) throws(SQLiteError) {
    try check(unsafe sqlite3_busy_timeout(handle, milliseconds), "set a timeout")
  }

  /// Gives back cached pages that are not in use.
  public func releaseMemory() {
    unsafe sqlite3_db_release_memory(handle)
  }

  func check(_ status: Int32, _ action: String) throws(SQLiteError) {
    guard status == SQLITE_OK else { throw SQLiteError(extendedCode: status, doing: action) }
  }
}

/// What the library needs before its first connection.
private enum Library {
  /// Whether it can be used.
  static let isReady: Bool = {
    // Statistics cost a process-wide lock at each allocation. Refused when something else in the
    // process has used the library before, which does no harm.
    let status = csqlite_disable_memory_statistics()
    guard status == SQLITE_OK || status == SQLITE_MISUSE else { return false }
    return sqlite3_initialize() == SQLITE_OK
  }()
}
