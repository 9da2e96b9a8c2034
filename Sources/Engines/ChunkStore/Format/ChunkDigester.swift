internal import Base
internal import Crypto
internal import ISAL

/// Computes the checksum table and the SHA-256 of one chunk while its data passes.
///
/// Used by one task at a time.
public final class ChunkDigester: @unchecked Sendable {
  /// The chunk.
  public let id: ChunkID
  /// Bytes that have passed.
  public private(set) var dataLength = 0

  /// One of the two: the first where the processor can.
  private var paired = PairedSHA256()
  private let digest: Digest?
  private var checksums: [UInt32] = []
  private var running: UInt32 = 0

  /// Starts with no data.
  public init(id: ChunkID) {
    self.id = id
    digest = paired == nil ? Digest(.sha256) : nil
  }

  /// Takes the next bytes of the chunk's data, any number of them.
  ///
  /// Precondition: all of them together are at most `ChunkLimits.dataLength`.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    unsafe forEachPiece(of: bytes) { piece in
      unsafe hash(piece)
      unsafe check(piece)
    }
  }

  /// Takes the next bytes of two chunks of one extent, which costs less than one after the other.
  ///
  /// Precondition: as for `append`; the digesters are two.
  public static func append(
    _ first: ChunkDigester, _ firstBytes: UnsafeRawBufferPointer,
    _ second: ChunkDigester, _ secondBytes: UnsafeRawBufferPointer
  ) {
    guard first.paired != nil, second.paired != nil, first.dataLength == second.dataLength,
      firstBytes.count == secondBytes.count
    else {
      unsafe first.append(firstBytes)
      unsafe second.append(secondBytes)
      return
    }
    var offset = 0
    unsafe first.forEachPiece(of: firstBytes) { piece in
      let other = unsafe UnsafeRawBufferPointer(
        rebasing: secondBytes[offset..<offset + piece.count])
      offset += piece.count
      if var one = first.paired.take(), var two = second.paired.take() {
        unsafe PairedSHA256.update(&one, piece, &two, other)
        first.paired = one
        second.paired = two
      }
      unsafe first.check(piece)
      unsafe second.check(other)
    }
  }

  /// Ends the data and describes it; the digester is of no use afterwards.
  public func finish(
    extentLength: Int, storedLength: Int, wrappedKey: [UInt8], descriptor: [UInt8]
  ) -> ChunkTrailer {
    if dataLength % ChunkLimits.checksumSpan > 0 { checksums.append(running) }
    guard let sha256 = SHA256Digest(paired?.finish() ?? digest?.finish() ?? []) else {
      preconditionFailure("a SHA-256 has 32 bytes")
    }
    return ChunkTrailer(
      extentLength: extentLength, storedLength: storedLength, dataLength: dataLength,
      sha256: sha256, blockChecksums: checksums, wrappedKey: wrappedKey, descriptor: descriptor)
  }

  /// Hands on the bytes up to the end of each piece that has a checksum, which stay in the cache
  /// from one algorithm to the next.
  private func forEachPiece(
    of bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    precondition(
      bytes.count <= ChunkLimits.dataLength - dataLength, "a chunk longer than the format allows")
    var offset = 0
    while offset < bytes.count {
      let inPiece = dataLength % ChunkLimits.checksumSpan
      let count = min(ChunkLimits.checksumSpan - inPiece, bytes.count - offset)
      unsafe body(UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
      offset += count
    }
  }

  private func hash(_ piece: UnsafeRawBufferPointer) {
    if paired != nil { unsafe paired?.update(piece) } else { unsafe digest?.update(piece) }
  }

  private func check(_ piece: UnsafeRawBufferPointer) {
    if dataLength % ChunkLimits.checksumSpan == 0 {
      let position = UInt32(dataLength / ChunkLimits.checksumSpan)
      running = ChunkChecksum.seed(id, position: position)
    }
    running = unsafe CRC32C.crc(piece, after: running)
    dataLength += piece.count
    if dataLength % ChunkLimits.checksumSpan == 0 { checksums.append(running) }
  }
}
