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

/// Computes the checksum table and the SHA-256 of one chunk while its data passes.
///
/// Used by one task at a time.
public final class ChunkDigester: @unchecked Sendable {
  /// The chunk.
  public let id: ChunkID
  /// Bytes that have passed.
  public private(set) var dataLength = 0

  private let digest = Digest(.sha256)
  private var checksums: [UInt32] = []
  private var running: UInt32 = 0

  /// Starts with no data.
  public init(id: ChunkID) {
    self.id = id
  }

  /// Takes the next bytes of the chunk's data, any number of them.
  ///
  /// Precondition: all of them together are at most `ChunkLimits.dataLength`.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    precondition(
      bytes.count <= ChunkLimits.dataLength - dataLength, "a chunk longer than the format allows")
    unsafe digest.update(bytes)
    var offset = 0
    while offset < bytes.count {
      let inPiece = dataLength % ChunkLimits.checksumSpan
      if inPiece == 0 {
        let position = UInt32(dataLength / ChunkLimits.checksumSpan)
        running = ChunkChecksum.seed(id, position: position)
      }
      let count = min(ChunkLimits.checksumSpan - inPiece, bytes.count - offset)
      running = unsafe CRC32C.crc(
        UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]), after: running)
      dataLength += count
      offset += count
      if dataLength % ChunkLimits.checksumSpan == 0 { checksums.append(running) }
    }
  }

  /// Ends the data and describes it; the digester is of no use afterwards.
  public func finish(
    extentLength: Int, storedLength: Int, wrappedKey: [UInt8], descriptor: [UInt8]
  ) -> ChunkTrailer {
    if dataLength % ChunkLimits.checksumSpan > 0 { checksums.append(running) }
    guard let sha256 = SHA256Digest(digest.finish()) else {
      preconditionFailure("a SHA-256 has 32 bytes")
    }
    return ChunkTrailer(
      extentLength: extentLength, storedLength: storedLength, dataLength: dataLength,
      sha256: sha256, blockChecksums: checksums, wrappedKey: wrappedKey, descriptor: descriptor)
  }
}
