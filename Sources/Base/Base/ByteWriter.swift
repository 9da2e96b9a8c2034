/// Appends little-endian fields to a byte array: the counterpart of `ByteReader`.
public struct ByteWriter: Sendable {
  /// What was written so far.
  public var bytes: [UInt8] { buffer }
  @usableFromInline var buffer: [UInt8]

  /// Starts empty, with room for `capacity` bytes.
  public init(capacity: Int = 64) {
    buffer = []
    buffer.reserveCapacity(capacity)
  }

  /// Bytes written so far.
  public var count: Int { buffer.count }

  /// Appends a fixed-width integer, least significant byte first.
  @inlinable
  public mutating func write<T: FixedWidthInteger>(_ value: T) {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe buffer.append(contentsOf: $0) }
  }

  /// Appends bytes as they are.
  @inlinable
  public mutating func write(_ run: some Sequence<UInt8>) {
    buffer.append(contentsOf: run)
  }

  /// Appends a number from 0 to `Int.max` as LEB128.
  ///
  /// Precondition: `value` is not negative.
  @inlinable
  public mutating func writeVarint(_ value: Int) {
    precondition(value >= 0, "a varint is not negative")
    var rest = UInt64(value)
    while rest > 0x7f {
      buffer.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.append(UInt8(rest))
  }

  /// Appends bytes behind their varint length.
  @inlinable
  public mutating func writeSized(_ run: some Collection<UInt8>) {
    writeVarint(run.count)
    buffer.append(contentsOf: run)
  }

  /// Appends a string as UTF-8 behind its varint length.
  public mutating func writeString(_ text: String) {
    writeSized(text.utf8)
  }

  /// Appends zeros until `count` is a multiple of `alignment`, which is positive.
  public mutating func pad(to alignment: Int) {
    let excess = buffer.count % alignment
    if excess > 0 { buffer.append(contentsOf: repeatElement(0, count: alignment - excess)) }
  }
}
