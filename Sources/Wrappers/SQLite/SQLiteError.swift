import CSQLite

/// A result code of SQLite that is not success.
public struct SQLiteError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The extended result code (<https://www.sqlite.org/rescode.html>).
  public let extendedCode: Int32
  /// What was being done and SQLite's name of the code; holds no data of a row and no path.
  public let message: String

  /// Makes an error of a result code.
  public init(extendedCode: Int32, doing action: String) {
    self.extendedCode = extendedCode
    let name = unsafe sqlite3_errstr(extendedCode).map { unsafe String(cString: $0) } ?? "error"
    message = "\(action): \(name) (\(extendedCode))"
  }

  /// The primary result code.
  public var code: Int32 { extendedCode & 0xff }

  /// The message.
  public var description: String { message }

  /// Whether the disk, or the page limit, is full.
  public var isFull: Bool { code == SQLITE_FULL }

  /// Whether a uniqueness, primary key or other constraint was violated.
  public var isConstraintViolation: Bool { code == SQLITE_CONSTRAINT }

  /// Whether another connection holds a lock.
  public var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }

  /// Whether the file or the disk below it failed, so that the state of the database on the disk
  /// is in doubt.
  public var isStorageFailure: Bool {
    switch code {
    case SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN, SQLITE_PROTOCOL,
      SQLITE_READONLY:
      true
    default: false
    }
  }

  /// The calling code used SQLite wrongly.
  static func misuse(_ action: String) -> SQLiteError {
    SQLiteError(extendedCode: SQLITE_MISUSE, doing: action)
  }
}

extension SQLiteError {
  /// The code for a parameter that is not there.
  public static var range: Int32 { SQLITE_RANGE }
}
