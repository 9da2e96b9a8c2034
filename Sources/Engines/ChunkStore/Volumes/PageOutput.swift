internal import Base
internal import Disk
internal import ISAL
internal import Runtime

/// Writes a stream of bytes to a file in large, aligned pieces, with its CRC32C.
struct PageOutput: ~Copyable {
  private let handle: any FileHandle
  private let buffer: AlignedBuffer
  private var used = 0
  private var offset = 0
  private var checksum: UInt32 = 0

  /// Writes from the start of the file, `length` bytes at a time: a multiple of 4 KiB.
  init(handle: any FileHandle, length: Int) {
    self.handle = handle
    buffer = AlignedBuffer(count: length)
  }

  mutating func write(_ bytes: [UInt8]) throws(DiskError) {
    checksum = CRC32C.crc(bytes, after: checksum)
    try append(bytes)
  }

  /// Ends the last page with a footer, which gets the checksum of all before; returns the length
  /// of the file.
  mutating func finish(_ footer: (UInt32) -> [UInt8]) throws(DiskError) -> Int {
    let end = footer(checksum)
    let length = ByteCount.roundUp(used + end.count, to: AlignedBuffer.alignment)
    try append([UInt8](repeating: 0, count: length - used - end.count))
    try append(end)
    try flush()
    return offset
  }

  private mutating func append(_ bytes: [UInt8]) throws(DiskError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = rest.prefix(buffer.count - used)
      buffer.copy(Array(part), at: used)
      used += part.count
      rest = rest.dropFirst(part.count)
      if used == buffer.count { try flush() }
    }
  }

  private mutating func flush() throws(DiskError) {
    guard used > 0 else { return }
    try unsafe buffer.withBytes(0..<used) { bytes throws(DiskError) in
      try unsafe handle.write([bytes], at: offset)
    }
    offset += used
    used = 0
  }
}
