internal import Base
internal import Crypto
internal import ISAL

/// The seeded CRC32C of format 1: a piece of another chunk, or of another place in this one, does
/// not pass for the one that was asked for.
public enum ChunkChecksum {
  /// The position under which a chunk's trailer is checked; no piece of data has it.
  static let trailerPosition = UInt32.max

  /// The checksum of no bytes: that of extent id (16), chunk index (1) and position (4, least
  /// significant byte first).
  public static func seed(_ id: ChunkID, position: UInt32) -> UInt32 {
    var words: (UInt64, UInt64) = (id.extent.high.bigEndian, id.extent.low.bigEndian)
    var tail: (UInt8, UInt8, UInt8, UInt8, UInt8) = (
      id.index, UInt8(truncatingIfNeeded: position), UInt8(truncatingIfNeeded: position >> 8),
      UInt8(truncatingIfNeeded: position >> 16), UInt8(truncatingIfNeeded: position >> 24)
    )
    let first = unsafe withUnsafeBytes(of: &words) { unsafe CRC32C.crc($0) }
    return unsafe withUnsafeBytes(of: &tail) { unsafe CRC32C.crc($0, after: first) }
  }

  /// The checksum of the piece of at most 64 KiB of data at `position * 64 KiB` of a chunk.
  public static func checksum(
    _ bytes: UnsafeRawBufferPointer, of id: ChunkID, position: UInt32
  ) -> UInt32 {
    unsafe CRC32C.crc(bytes, after: seed(id, position: position))
  }

  /// How many checksums so many bytes of data have.
  ///
  /// Precondition: `dataLength` is from 0 to `ChunkLimits.dataLength`.
  public static func count(dataLength: Int) -> Int {
    (dataLength + ChunkLimits.checksumSpan - 1) / ChunkLimits.checksumSpan
  }

  /// Checks pieces of a chunk's data against its trailer's table.
  ///
  /// `bytes` begin at piece `first` and end at the end of a piece. False when one does not match
  /// or the table has no such piece.
  public static func matches(
    _ bytes: UnsafeRawBufferPointer, of id: ChunkID, firstPiece first: Int, table: [UInt32]
  ) -> Bool {
    var position = first
    var offset = 0
    while offset < bytes.count {
      let end = min(offset + ChunkLimits.checksumSpan, bytes.count)
      guard table.indices.contains(position), let number = UInt32(exactly: position),
        unsafe checksum(
          UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), of: id, position: number)
          == table[position]
      else { return false }
      position += 1
      offset = end
    }
    return true
  }
}
