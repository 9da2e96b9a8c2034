/// Appends little-endian fields to a byte array: the counterpart of `ByteReader`.
public struct ByteWriter: Sendable {
  /// What was written so far.
  public private(set) var bytes: [UInt8]

  /// Starts empty, with room for `capacity` bytes.
  public init(capacity: Int = 64) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// Bytes written so far.
  public var count: Int { bytes.count }

  /// Appends a fixed-width integer, least significant byte first.
  public mutating func write<T: FixedWidthInteger>(_ value: T) {
    for index in 0..<(T.bitWidth / 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> T(8 * index)))
    }
  }

  /// Appends bytes as they are.
  public mutating func write(_ run: some Sequence<UInt8>) {
    bytes.append(contentsOf: run)
  }

  /// Appends a number from 0 to `Int.max` as LEB128.
  ///
  /// Precondition: `value` is not negative.
  public mutating func writeVarint(_ value: Int) {
    precondition(value >= 0, "a varint is not negative")
    var rest = UInt64(value)
    while rest > 0x7f {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// Appends bytes behind their varint length.
  public mutating func writeSized(_ run: some Collection<UInt8>) {
    writeVarint(run.count)
    bytes.append(contentsOf: run)
  }

  /// Appends a string as UTF-8 behind its varint length.
  public mutating func writeString(_ text: String) {
    writeSized(text.utf8)
  }

  /// Appends zeros until `count` is a multiple of `alignment`, which is positive.
  public mutating func pad(to alignment: Int) {
    let excess = bytes.count % alignment
    if excess > 0 { bytes.append(contentsOf: repeatElement(0, count: alignment - excess)) }
  }
}
