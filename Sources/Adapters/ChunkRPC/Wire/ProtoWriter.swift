internal import Base

/// Makes one protobuf message. Fields that have their default value are left out, as in proto3.
struct ProtoWriter {
  private(set) var bytes: [UInt8] = []

  /// Appends an unsigned number.
  mutating func write(_ field: Int, _ value: UInt64) {
    guard value != 0 else { return }
    appendVarint(UInt64(field) << 3)
    appendVarint(value)
  }

  /// Appends a length or a count. Precondition: it is not negative.
  mutating func write(_ field: Int, _ value: Int) {
    precondition(value >= 0, "lengths are not negative")
    write(field, UInt64(value))
  }

  /// Appends a truth value.
  mutating func write(_ field: Int, _ value: Bool) {
    write(field, value ? 1 as UInt64 : 0)
  }

  /// Appends a run of bytes.
  mutating func write(_ field: Int, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    writeHead(field, count: value.count)
    bytes += value
  }

  /// Appends a text.
  mutating func write(_ field: Int, _ value: String) {
    write(field, Array(value.utf8))
  }

  /// Appends a message, which is there even when it is empty.
  mutating func write(_ field: Int, _ message: ProtoWriter) {
    writeHead(field, count: message.bytes.count)
    bytes += message.bytes
  }

  /// Appends numbers of 32 bits, packed.
  mutating func write(_ field: Int, fixed32 values: some Collection<UInt32>) {
    guard !values.isEmpty else { return }
    writeHead(field, count: 4 * values.count)
    bytes.reserveCapacity(bytes.count + 4 * values.count)
    for value in values {
      for shift in stride(from: 0, to: 32, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift)))
      }
    }
  }

  /// Appends all of a field but its `count` bytes, which follow from elsewhere.
  mutating func writeHead(_ field: Int, count: Int) {
    appendVarint(UInt64(field) << 3 | 2)
    appendVarint(UInt64(count))
  }

  private mutating func appendVarint(_ value: UInt64) {
    var rest = value
    while rest > 0x7f {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
}
