/// A value bound to `$1`, `$2`, … of a statement.
public enum Parameter: Hashable, Sendable {
  /// Nothing.
  case null
  /// A 64-bit number.
  case integer(Int64)
  /// Text.
  case text(String)
  /// Bytes.
  case bytes([UInt8])

  /// The type that the statement is told (`pg_type.oid`): `int8`, `text`, `bytea`; 0 leaves it to
  /// the server.
  var type: UInt32 {
    switch self {
    case .null: 0
    case .integer: TypeID.int8
    case .text: TypeID.text
    case .bytes: TypeID.bytea
    }
  }
}

/// Numbers of built-in types, which never change.
enum TypeID {
  static let bool: UInt32 = 16
  static let bytea: UInt32 = 17
  static let name: UInt32 = 19
  static let int8: UInt32 = 20
  static let int2: UInt32 = 21
  static let int4: UInt32 = 23
  static let text: UInt32 = 25
  static let varchar: UInt32 = 1043
}

/// The values of one statement, one behind the other as they go over the wire.
struct PackedParameters {
  /// Bytes of all values of a statement at most.
  static let maximumBytes = 64 << 20
  /// Values of a statement at most (the protocol's limit).
  static let maximumCount = 65_535

  /// Where each value starts; nil for null.
  private(set) var offsets: [Int?] = []
  private(set) var lengths: [Int32] = []
  /// 1 for binary, 0 for text.
  private(set) var formats: [Int32] = []
  private(set) var bytes: [UInt8] = []

  /// `types` are those that the statement was prepared with: a number whose type was left to the
  /// server goes as text, which fits any type of number.
  init(_ values: [Parameter], types: [UInt32]) throws(PostgresError) {
    guard values.count <= Self.maximumCount, types.count == values.count else { throw .tooLarge }
    for index in values.indices {
      try append(values[index], isTyped: types[index] != 0)
      guard bytes.count <= Self.maximumBytes else { throw .tooLarge }
    }
  }

  private mutating func append(_ value: Parameter, isTyped: Bool) throws(PostgresError) {
    let start = bytes.count
    offsets.append(start)
    switch value {
    case .null:
      offsets[offsets.count - 1] = nil
      lengths.append(0)
      formats.append(1)
      return
    case .integer(let number):
      if isTyped {
        for shift in stride(from: 56, through: 0, by: -8) {
          bytes.append(UInt8(truncatingIfNeeded: number >> Int64(shift)))
        }
      } else {
        bytes += Array(String(number).utf8)
      }
      formats.append(isTyped ? 1 : 0)
    case .text(let text):
      bytes += Array(text.utf8)
      guard !bytes[start...].contains(0) else { throw .invalidText }
      formats.append(1)
    case .bytes(let run):
      bytes += run
      formats.append(1)
    }
    lengths.append(Int32(clamping: bytes.count - start))
    // Values in text format are zero-terminated.
    bytes.append(0)
  }
}
