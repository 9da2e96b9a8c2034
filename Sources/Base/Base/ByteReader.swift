/// Reads little-endian fields from the front of a byte array, never past its end.
public struct ByteReader: Sendable {
  /// The bytes being read.
  public let bytes: [UInt8]
  /// Where the next field begins, an offset into `bytes`.
  @inlinable public var position: Int { cursor }
  @usableFromInline var cursor: Int
  /// One past the last readable byte.
  public let end: Int

  /// Reads all of `bytes`.
  public init(_ bytes: [UInt8]) {
    self.bytes = bytes
    self.cursor = 0
    self.end = bytes.count
  }

  /// Reads the part of `bytes` inside `range`, which is clamped to it.
  public init(_ bytes: [UInt8], in range: Range<Int>) {
    self.bytes = bytes
    let clamped = range.clamped(to: 0..<bytes.count)
    self.cursor = clamped.lowerBound
    self.end = clamped.upperBound
  }

  /// Bytes left.
  @inlinable public var remaining: Int { end - position }

  /// Whether nothing is left.
  @inlinable public var isAtEnd: Bool { position == end }

  /// The next `count` bytes; throws when fewer are left or `count` is negative.
  @inlinable
  public mutating func read(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= remaining else {
      throw FormatError("ends \(count - remaining) bytes too early")
    }
    defer { cursor += count }
    return bytes[position..<position + count]
  }

  /// The next fixed-width little-endian integer.
  @inlinable
  public mutating func readInteger<T: FixedWidthInteger>(
    _ type: T.Type = T.self
  ) throws(FormatError) -> T {
    let size = T.bitWidth / 8
    guard size <= remaining else { throw FormatError("ends inside an integer") }
    var value: T = 0
    for index in 0..<size {
      value |= T(truncatingIfNeeded: bytes[position + index]) << T(8 * index)
    }
    cursor += size
    return value
  }

  /// The next LEB128 number, at most 63 bits of it.
  public mutating func readVarint() throws(FormatError) -> Int {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try readInteger(UInt8.self)
      if shift == 56 && byte > 0x7f { throw FormatError("number longer than 63 bits") }
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { break }
      shift += 7
      if shift > 56 { throw FormatError("number longer than 63 bits") }
    }
    guard let result = Int(exactly: value) else { throw FormatError("number longer than 63 bits") }
    return result
  }

  /// A run of bytes that its own varint length precedes, at most `limit` long.
  public mutating func readSized(limit: Int) throws(FormatError) -> [UInt8] {
    let count = try readVarint()
    guard count <= limit else { throw FormatError("field of \(count) bytes, at most \(limit)") }
    return Array(try read(count))
  }

  /// A UTF-8 string that its varint length precedes, at most `limit` bytes long.
  public mutating func readString(limit: Int) throws(FormatError) -> String {
    guard let text = String(validating: try readSized(limit: limit), as: UTF8.self) else {
      throw FormatError("text that is not UTF-8")
    }
    return text
  }

  /// Throws unless everything was read.
  public func expectEnd() throws(FormatError) {
    guard isAtEnd else { throw FormatError("\(remaining) bytes too many") }
  }
}
