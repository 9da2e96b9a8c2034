import CPostgres

/// What a statement gave: its rows in binary form, or how many rows it changed.
///
/// Row and column indices that are not there read as null.
@safe
public final class QueryResult {
  /// What a column of a row holds.
  public enum Value: Hashable, Sendable {
    /// Nothing.
    case null
    /// A number of at most 64 bits, or a truth value as 0 and 1.
    case integer(Int64)
    /// Text.
    case text(String)
    /// Bytes.
    case bytes([UInt8])
    /// A type that this wrapper does not read.
    case other
  }

  /// How many rows there are.
  public let rowCount: Int
  /// How many columns each has.
  public let columnCount: Int
  private let handle: OpaquePointer
  private let types: [UInt32]

  init(_ handle: OpaquePointer) {
    unsafe self.handle = unsafe handle
    rowCount = Int(unsafe PQntuples(handle))
    columnCount = Int(unsafe PQnfields(handle))
    types = (0..<columnCount).map { unsafe PQftype(handle, Int32($0)) }
  }

  deinit {
    unsafe PQclear(handle)
  }

  /// How many rows an `INSERT`, `UPDATE`, `DELETE` or `SELECT` touched.
  public var affectedRows: Int {
    guard let text = unsafe PQcmdTuples(handle) else { return 0 }
    return Int(unsafe String(cString: text)) ?? 0
  }

  /// The command that ran, such as `COMMIT` or `ROLLBACK`.
  public var command: String {
    guard let text = unsafe PQcmdStatus(handle) else { return "" }
    return unsafe String(cString: text)
  }

  /// One value.
  public func value(row: Int, column: Int) -> Value {
    guard row >= 0, row < rowCount, column >= 0, column < columnCount,
      unsafe PQgetisnull(handle, Int32(row), Int32(column)) == 0,
      let start = unsafe PQgetvalue(handle, Int32(row), Int32(column))
    else { return .null }
    let count = Int(unsafe PQgetlength(handle, Int32(row), Int32(column)))
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: max(count, 0))
    switch types[column] {
    case TypeID.int8, TypeID.int4, TypeID.int2, TypeID.bool:
      return unsafe Self.integer(bytes).map(Value.integer) ?? .other
    case TypeID.text, TypeID.varchar, TypeID.name:
      return .text(unsafe String(decoding: bytes, as: UTF8.self))
    case TypeID.bytea: return .bytes(unsafe [UInt8](bytes))
    default: return .other
    }
  }

  /// A number, nil for anything else.
  public func integer(row: Int, column: Int) -> Int64? {
    guard case .integer(let number) = value(row: row, column: column) else { return nil }
    return number
  }

  /// A text, nil for anything else.
  public func text(row: Int, column: Int) -> String? {
    guard case .text(let text) = value(row: row, column: column) else { return nil }
    return text
  }

  private static func integer(_ bytes: UnsafeRawBufferPointer) -> Int64? {
    guard [1, 2, 4, 8].contains(bytes.count) else { return nil }
    // The sign comes from the first byte; a truth value has none.
    var result: Int64 = unsafe bytes.count > 1 && bytes[0] >= 0x80 ? -1 : 0
    for index in 0..<bytes.count { unsafe result = result << 8 | Int64(bytes[index]) }
    return result
  }
}
