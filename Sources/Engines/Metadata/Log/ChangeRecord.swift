public import Base
import Synchronization

/// One row as a transaction left it.
public struct RowChange: Hashable, Sendable {
  /// `LoggedTable.number`.
  public var table: UInt8
  /// Whether the row is gone; then `values` is its key alone.
  public var isDelete: Bool
  /// The row's values, or its key's, in the order of `LoggedTable.columns`.
  public var values: [SQLValue]

  /// Makes a change of its fields.
  public init(table: UInt8, isDelete: Bool, values: [SQLValue]) {
    self.table = table
    self.isDelete = isDelete
    self.values = values
  }
}

/// What one transaction changed, as the change log carries it.
///
/// Numbers order the changes of any row, whichever gateway made them: a transaction gets its number
/// while it holds the locks of all that it changed. Numbers may be missing: a transaction that was
/// given up has none.
public struct ChangeRecord: Hashable, Sendable {
  /// The longest record, in bytes.
  public static let maximumLength = 256 << 20

  /// The number of the transaction.
  public var number: Int64
  /// What it changed, in the order in which it did.
  public var changes: [RowChange]

  /// Makes a record of its fields.
  public init(number: Int64, changes: [RowChange]) {
    self.number = number
    self.changes = changes
  }

  /// Appends the record: number (8), count of changes (varint), then each: table, operation
  /// (1 put, 2 delete), values.
  public func encode(to writer: inout ByteWriter) {
    writer.write(number)
    writer.writeVarint(changes.count)
    for change in changes {
      writer.write(change.table)
      writer.write(change.isDelete ? UInt8(2) : 1)
      RowCodec.write(change.values, to: &writer)
    }
  }

  /// Reads what `encode` wrote.
  public init(from reader: inout ByteReader) throws(FormatError) {
    number = try reader.readInteger()
    let count = try reader.readVarint()
    guard number > 0 else { throw FormatError("a change without a number") }
    // A change takes at least four bytes.
    guard count <= reader.remaining / 4 else { throw FormatError("more changes than bytes") }
    changes = []
    changes.reserveCapacity(count)
    for _ in 0..<count {
      let table = try reader.readInteger(UInt8.self)
      let operation = try reader.readInteger(UInt8.self)
      guard operation == 1 || operation == 2 else { throw FormatError("an unknown change") }
      changes.append(
        RowChange(table: table, isDelete: operation == 2, values: try RowCodec.read(from: &reader)))
    }
  }
}

/// Rows as snapshots and the change log carry them: a count (varint), then for each value its kind:
/// 0 nothing, 1 a number (8 bytes, little-endian), 2 text, 3 bytes, both behind their length.
public enum RowCodec {
  /// The most values of a row.
  static let maximumCount = 64
  /// The longest value in bytes.
  static let maximumLength = 16 << 20

  /// Appends a row.
  public static func write(_ values: [SQLValue], to writer: inout ByteWriter) {
    writer.writeVarint(values.count)
    for value in values {
      switch value {
      case .null: writer.write(UInt8(0))
      case .int(let number):
        writer.write(UInt8(1))
        writer.write(number)
      case .text(let text):
        writer.write(UInt8(2))
        writer.writeString(text)
      case .bytes(let bytes):
        writer.write(UInt8(3))
        writer.writeSized(bytes)
      }
    }
  }

  /// Reads a row.
  public static func read(from reader: inout ByteReader) throws(FormatError) -> [SQLValue] {
    let count = try reader.readVarint()
    guard count > 0, count <= maximumCount else { throw FormatError("a row of \(count) values") }
    var values: [SQLValue] = []
    values.reserveCapacity(count)
    for _ in 0..<count {
      switch try reader.readInteger(UInt8.self) {
      case 0: values.append(.null)
      case 1: values.append(.int(try reader.readInteger()))
      case 2: values.append(.text(try reader.readString(limit: maximumLength)))
      case 3: values.append(.bytes(try reader.readSized(limit: maximumLength)))
      default: throw FormatError("a value of an unknown kind")
      }
    }
    return values
  }
}

/// Takes the changes of transactions that are committed and makes them durable elsewhere.
public protocol ChangeSink: Sendable {
  /// Whether there is any store that the log could be written to, be it out of reach now.
  var hasStores: Bool { get }

  /// Whether a record of that number is known to be in the log; those of long ago are forgotten.
  func isLogged(_ number: Int64) -> Bool

  /// Returns once the record is durable in the log; a caller is answered only then. Throws
  /// `unknownOutcome` when it could not be: the change itself stays and its mark with it.
  func append(_ record: ChangeRecord) async throws
}

/// Hands the record of a transaction to those whose mutations were in it.
final class ChangeTicket: Sendable {
  private let state = Mutex<(record: ChangeRecord?, former: Set<Int64>)>((nil, []))

  /// Nil until the transaction was about to be committed.
  var record: ChangeRecord? { state.withLock { $0.record } }

  /// Numbers of marked transactions that it builds on.
  var former: Set<Int64> { state.withLock { $0.former } }

  func resolve(_ record: ChangeRecord, former: Set<Int64>) {
    state.withLock { $0 = (record, former) }
  }
}
