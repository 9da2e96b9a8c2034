internal import ChunkStore
internal import ISAL

/// Computes a chunk's checksum table, or a part of it, while its data passes in pieces of any length.
struct ChecksumRun {
  private let id: ChunkID
  private let first: Int
  private var running: UInt32 = 0
  /// Bytes that have passed.
  private(set) var dataLength = 0
  /// Of the spans that are complete.
  private var checksums: [UInt32] = []

  /// The data begins with piece `first` of the chunk.
  init(_ id: ChunkID, first: Int = 0) {
    self.id = id
    self.first = first
  }

  /// Takes the next bytes. Precondition: all together are at most `ChunkLimits.dataLength`.
  mutating func append(_ bytes: UnsafeRawBufferPointer) {
    var offset = 0
    while offset < bytes.count {
      let inSpan = dataLength % ChunkLimits.checksumSpan
      if inSpan == 0 {
        let position = UInt32(first + dataLength / ChunkLimits.checksumSpan)
        running = ChunkChecksum.seed(id, position: position)
      }
      let count = min(ChunkLimits.checksumSpan - inSpan, bytes.count - offset)
      unsafe running = CRC32C.crc(
        UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]), after: running)
      dataLength += count
      offset += count
      if dataLength % ChunkLimits.checksumSpan == 0 { checksums.append(running) }
    }
  }

  /// The table of what has passed.
  var table: [UInt32] {
    dataLength % ChunkLimits.checksumSpan > 0 ? checksums + [running] : checksums
  }
}
