internal import Base
internal import GRPC

/// Where the bytes of a protobuf message come from.
protocol ProtoSource {
  /// Bytes left.
  var remaining: Int { get }
  mutating func readByte() throws(FormatError) -> UInt8
  mutating func read(_ count: Int) throws(FormatError) -> [UInt8]
  mutating func skip(_ count: Int) throws(FormatError)
}

extension MessageReader: ProtoSource {}

/// A message in one piece.
struct ProtoBytes: ProtoSource {
  private var reader: ByteReader

  init(_ bytes: [UInt8]) {
    reader = ByteReader(bytes)
  }

  var remaining: Int { reader.remaining }

  mutating func readByte() throws(FormatError) -> UInt8 { try reader.readInteger() }

  mutating func read(_ count: Int) throws(FormatError) -> [UInt8] { Array(try reader.read(count)) }

  mutating func skip(_ count: Int) throws(FormatError) { _ = try reader.read(count) }
}

/// Reads the fields of one protobuf message, whatever its bytes: what is unknown is passed over,
/// what is no message throws.
struct ProtoReader<Source: ProtoSource> {
  private enum Value {
    case none
    case number(UInt64)
    case fixed32(UInt32)
    case fixed64
    case run(Int)
  }

  /// Where the bytes come from; `run` leaves it at the first byte of the field.
  var source: Source
  private var value = Value.none

  init(_ source: Source) {
    self.source = source
  }

  /// The number of the next field, nil at the end; passes over what is left of the one before.
  mutating func next() throws(FormatError) -> Int? {
    if case .run(let count) = value { try source.skip(count) }
    value = .none
    guard source.remaining > 0 else { return nil }
    let key = try varint()
    let field = key >> 3
    guard (1...0x1fff_ffff).contains(field) else { throw FormatError("a field without a number") }
    switch key & 7 {
    case 0: value = .number(try varint())
    case 1:
      try source.skip(8)
      value = .fixed64
    case 2:
      guard let count = Int(exactly: try varint()), count <= source.remaining else {
        throw FormatError("a field ends behind its message")
      }
      value = .run(count)
    case 5:
      var number: UInt32 = 0
      for shift in stride(from: 0, to: 32, by: 8) {
        number |= UInt32(try source.readByte()) << UInt32(shift)
      }
      value = .fixed32(number)
    default: throw FormatError("a field of unknown form")
    }
    return Int(field)
  }

  /// The field as an unsigned number.
  func number() throws(FormatError) -> UInt64 {
    guard case .number(let number) = value else { throw FormatError("a field is no number") }
    return number
  }

  /// The field as a number of at most `limit`.
  func number(upTo limit: Int) throws(FormatError) -> Int {
    guard let number = Int(exactly: try number()), number <= limit else {
      throw FormatError("a number is out of bounds")
    }
    return number
  }

  /// How many bytes the field has, which are next in `source`: the caller takes all of them.
  mutating func run(upTo limit: Int) throws(FormatError) -> Int {
    guard case .run(let count) = value else { throw FormatError("a field has no bytes") }
    guard count <= limit else { throw FormatError("a field of \(count) bytes, at most \(limit)") }
    value = .none
    return count
  }

  /// The field's bytes, at most `limit`.
  mutating func bytes(upTo limit: Int) throws(FormatError) -> [UInt8] {
    try source.read(try run(upTo: limit))
  }

  /// The field as an identifier of 16 bytes.
  mutating func id<Kind>(_ kind: Kind.Type) throws(FormatError) -> ID128<Kind> {
    guard let id = ID128<Kind>(bytes: try bytes(upTo: 16)) else {
      throw FormatError("an id has 16 bytes")
    }
    return id
  }

  /// The field as a text of at most `limit` bytes.
  mutating func text(upTo limit: Int) throws(FormatError) -> String {
    guard let text = String(validating: try bytes(upTo: limit), as: UTF8.self) else {
      throw FormatError("text that is not UTF-8")
    }
    return text
  }

  /// The field as a message of at most `limit` bytes.
  mutating func message(upTo limit: Int) throws(FormatError) -> ProtoReader<ProtoBytes> {
    ProtoReader<ProtoBytes>(ProtoBytes(try bytes(upTo: limit)))
  }

  /// Appends the field's numbers of 32 bits, packed or single, to a list of at most `limit`.
  mutating func fixed32(into list: inout [UInt32], upTo limit: Int) throws(FormatError) {
    if case .fixed32(let number) = value {
      guard list.count < limit else { throw FormatError("too many numbers") }
      list.append(number)
      return
    }
    let run = try bytes(upTo: 4 * max(limit - list.count, 0))
    guard run.count.isMultiple(of: 4) else { throw FormatError("packed numbers of 32 bits") }
    var reader = ByteReader(run)
    list.reserveCapacity(list.count + run.count / 4)
    while !reader.isAtEnd { list.append(try reader.readInteger()) }
  }

  private mutating func varint() throws(FormatError) -> UInt64 {
    var result: UInt64 = 0
    for shift in stride(from: 0, through: 63, by: 7) {
      let byte = try source.readByte()
      guard shift < 63 || byte <= 1 else { break }
      result |= UInt64(byte & 0x7f) << UInt64(shift)
      if byte < 0x80 { return result }
    }
    throw FormatError("a number of more than 64 bits")
  }
}
