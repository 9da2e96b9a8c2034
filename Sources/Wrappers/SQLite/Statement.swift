import CSQLite

/// A compiled statement of one connection; confined to that connection's thread.
///
/// Bind all parameters, step until there are no more rows, reset. Parameters count from 1, columns
/// from 0.
@safe
public final class Statement {
  /// What a column of the current row holds.
  public enum ColumnKind: Sendable {
    /// A 64-bit number.
    case integer
    /// A floating-point number.
    case real
    /// Text.
    case text
    /// Bytes.
    case bytes
    /// Nothing.
    case null
  }

  /// How many parameters it has.
  public let parameterCount: Int
  /// How many columns its rows have.
  public let columnCount: Int
  /// Whether it changes nothing in the database.
  public let isReadOnly: Bool

  private let handle: OpaquePointer

  init(_ connection: Connection, _ sql: String) throws(SQLiteError) {
    var compiled: OpaquePointer?
    let status = unsafe sqlite3_prepare_v3(
      connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &compiled, nil)
    guard status == SQLITE_OK, let statement = unsafe compiled else {
      unsafe sqlite3_finalize(compiled)
      throw SQLiteError(
        extendedCode: status == SQLITE_OK ? SQLITE_MISUSE : status, doing: "prepare")
    }
    unsafe handle = unsafe statement
    parameterCount = Int(unsafe sqlite3_bind_parameter_count(statement))
    columnCount = Int(unsafe sqlite3_column_count(statement))
    isReadOnly = unsafe sqlite3_stmt_readonly(statement) != 0
  }

  deinit {
    unsafe sqlite3_finalize(handle)
  }

  /// The name of a parameter, with its `$`; nil for one without a name.
  public func parameterName(at index: Int) -> String? {
    guard let name = unsafe sqlite3_bind_parameter_name(handle, Int32(index)) else { return nil }
    return unsafe String(cString: name)
  }

  /// Binds a number.
  public func bind(_ value: Int64, at index: Int) throws(SQLiteError) {
    try check(unsafe sqlite3_bind_int64(handle, Int32(index), value), "bind")
  }

  /// Binds bytes, which are copied.
  public func bind(_ value: [UInt8], at index: Int) throws(SQLiteError) {
    let status = unsafe value.withUnsafeBytes { buffer in
      // An empty array may have no address, which would bind null.
      guard let start = buffer.baseAddress, unsafe !buffer.isEmpty else {
        return unsafe sqlite3_bind_zeroblob(handle, Int32(index), 0)
      }
      return unsafe csqlite_bind_bytes(handle, Int32(index), start, UInt64(buffer.count))
    }
    try check(status, "bind")
  }

  /// Binds text, which is copied.
  public func bind(_ value: String, at index: Int) throws(SQLiteError) {
    var text = value
    let status = text.withUTF8 { buffer in
      unsafe buffer.withMemoryRebound(to: CChar.self) { characters in
        guard let start = characters.baseAddress else {
          return unsafe csqlite_bind_text(handle, Int32(index), "", 0)
        }
        return unsafe csqlite_bind_text(handle, Int32(index), start, UInt64(characters.count))
      }
    }
    try check(status, "bind")
  }

  /// Binds null.
  public func bindNull(at index: Int) throws(SQLiteError) {
    try check(unsafe sqlite3_bind_null(handle, Int32(index)), "bind")
  }

  /// Goes to the next row; false when there is none. After an error, `reset`.
  public func step() throws(SQLiteError) -> Bool {
    switch unsafe sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    case let status: throw SQLiteError(extendedCode: status, doing: "step")
    }
  }

  /// Makes it ready to be bound and run again; drops what was bound.
  public func reset() {
    // Both repeat the error of the last step, which was thrown there.
    unsafe sqlite3_reset(handle)
    unsafe sqlite3_clear_bindings(handle)
  }

  /// What a column of the current row holds.
  public func kind(at column: Int) -> ColumnKind {
    switch unsafe sqlite3_column_type(handle, Int32(column)) {
    case SQLITE_INTEGER: .integer
    case SQLITE_FLOAT: .real
    case SQLITE_TEXT: .text
    case SQLITE_BLOB: .bytes
    default: .null
    }
  }

  /// A column of the current row as a number; 0 for null.
  public func integer(at column: Int) -> Int64 {
    unsafe sqlite3_column_int64(handle, Int32(column))
  }

  /// A column of the current row as bytes; empty for null.
  public func bytes(at column: Int) -> [UInt8] {
    guard let start = unsafe sqlite3_column_blob(handle, Int32(column)) else { return [] }
    let count = Int(unsafe sqlite3_column_bytes(handle, Int32(column)))
    return unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: count))
  }

  /// A column of the current row as text; bytes that are not UTF-8 are replaced; empty for null.
  public func text(at column: Int) -> String {
    guard let start = unsafe sqlite3_column_text(handle, Int32(column)) else { return "" }
    let count = Int(unsafe sqlite3_column_bytes(handle, Int32(column)))
    return unsafe String(
      decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  private func check(_ status: Int32, _ action: String) throws(SQLiteError) {
    guard status == SQLITE_OK else { throw SQLiteError(extendedCode: status, doing: action) }
  }
}
