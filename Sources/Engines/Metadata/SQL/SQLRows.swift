public import Base

/// A value bound to a statement or read from a row.
public enum SQLValue: Hashable, Sendable {
  /// Nothing.
  case null
  /// A number.
  case int(Int64)
  /// Text.
  case text(String)
  /// Bytes.
  case bytes([UInt8])

  /// A number, or nothing for nil.
  public static func optional(_ value: Int64?) -> SQLValue { value.map(SQLValue.int) ?? .null }
  /// Text, or nothing for nil.
  public static func optional(_ value: String?) -> SQLValue { value.map(SQLValue.text) ?? .null }
  /// Bytes, or nothing for nil.
  public static func optional(_ value: [UInt8]?) -> SQLValue { value.map(SQLValue.bytes) ?? .null }
}

/// The rows that a query gave, all of them.
public struct SQLRows: Sendable {
  /// How many columns each row has.
  public let columnCount: Int
  /// The values, row by row.
  public var values: [SQLValue]

  /// Makes rows of their values, whose number is a multiple of `columnCount`.
  public init(columnCount: Int, values: [SQLValue] = []) {
    self.columnCount = max(columnCount, 1)
    self.values = values
  }

  /// How many rows there are.
  public var count: Int { values.count / columnCount }

  /// The first row, nil when there is none.
  public var first: SQLRow? { count > 0 ? SQLRow(rows: self, start: 0) : nil }

  /// One row. Precondition: there is one of that index.
  public subscript(index: Int) -> SQLRow {
    precondition(index >= 0 && index < count, "no such row")
    return SQLRow(rows: self, start: index * columnCount)
  }

  /// Makes something of each row.
  public func map<T>(_ body: (SQLRow) throws -> T) rethrows -> [T] {
    var result: [T] = []
    result.reserveCapacity(count)
    for index in 0..<count { result.append(try body(self[index])) }
    return result
  }
}

/// One row: typed access to its columns, which throws where the database holds something else.
public struct SQLRow: Sendable {
  let rows: SQLRows
  let start: Int

  private func value(_ column: Int) throws(MetadataError) -> SQLValue {
    guard column >= 0, column < rows.columnCount else { throw Self.corrupt(column) }
    return rows.values[start + column]
  }

  /// A number.
  public func int(_ column: Int) throws(MetadataError) -> Int64 {
    guard case .int(let number) = try value(column) else { throw Self.corrupt(column) }
    return number
  }

  /// A number, or nil.
  public func optionalInt(_ column: Int) throws(MetadataError) -> Int64? {
    switch try value(column) {
    case .int(let number): number
    case .null: nil
    default: throw Self.corrupt(column)
    }
  }

  /// Text.
  public func text(_ column: Int) throws(MetadataError) -> String {
    guard case .text(let text) = try value(column) else { throw Self.corrupt(column) }
    return text
  }

  /// Text, or nil.
  public func optionalText(_ column: Int) throws(MetadataError) -> String? {
    switch try value(column) {
    case .text(let text): text
    case .null: nil
    default: throw Self.corrupt(column)
    }
  }

  /// Bytes.
  public func bytes(_ column: Int) throws(MetadataError) -> [UInt8] {
    guard case .bytes(let bytes) = try value(column) else { throw Self.corrupt(column) }
    return bytes
  }

  /// Bytes, or nil.
  public func optionalBytes(_ column: Int) throws(MetadataError) -> [UInt8]? {
    switch try value(column) {
    case .bytes(let bytes): bytes
    case .null: nil
    default: throw Self.corrupt(column)
    }
  }

  /// A small number that is not negative.
  public func small(_ column: Int) throws(MetadataError) -> Int {
    guard let number = Int(exactly: try int(column)), number >= 0 else {
      throw Self.corrupt(column)
    }
    return number
  }

  /// A moment.
  public func time(_ column: Int) throws(MetadataError) -> Timestamp {
    Timestamp(milliseconds: try int(column))
  }

  /// A 128-bit identifier.
  public func id<Kind>(_ column: Int) throws(MetadataError) -> ID128<Kind> {
    let bytes = try bytes(column)
    guard bytes.count == 16 else { throw Self.corrupt(column) }
    return ID128(bigEndian: bytes, at: 0)
  }

  /// A row that does not hold what it should.
  static func corrupt(_ column: Int) -> MetadataError {
    .unavailable("a row holds something else than expected in column \(column)")
  }
}
