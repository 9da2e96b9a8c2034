import Base
import Erasure

/// How one stripe lies in a buffer while it is coded: its plaintext first, then k + m blocks.
struct StripeLayout: Sendable {
  /// Where its plaintext begins.
  let start: Int
  /// Where blocks begin.
  let blocksOffset: Int
  /// From one block to the next: a multiple of 4 KiB.
  let blockStride: Int
  /// Where it ends: the bytes of a buffer that holds nothing behind it.
  let end: Int
  private let dataCount: Int

  /// The layout for stripes whose blocks have at most `blockLength` bytes and whose plaintext has
  /// at most `plaintextLength`; `start` is a multiple of 4 KiB.
  init(scheme: ErasureScheme, blockLength: Int, plaintextLength: Int, start: Int = 0) {
    self.start = start
    dataCount = scheme.data
    blockStride = ByteCount.roundUp(blockLength, to: 4096)
    blocksOffset = start + max(4096, ByteCount.roundUp(plaintextLength, to: 4096))
    end = blocksOffset + blockStride * scheme.total
  }

  /// Bytes of each block of a stripe with so many stored bytes: the last may have fewer.
  static func blockLength(stored: Int, scheme: ErasureScheme) -> Int {
    ByteCount.roundUp(
      (stored + scheme.data - 1) / scheme.data, to: ExtentGeometry.blockAlignment)
  }

  /// Where block `index` begins.
  func block(_ index: Int) -> Int { blocksOffset + index * blockStride }

  /// Where all data blocks lie, one behind the other at the stride.
  var dataRegion: Range<Int> { blocksOffset..<blocksOffset + dataCount * blockStride }
}
