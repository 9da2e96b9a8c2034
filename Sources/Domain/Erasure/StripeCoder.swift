internal import Base
public import ISAL

/// Computes the parity of stripes and makes lost blocks again.
///
/// Blocks lie at a fixed stride in memory that the caller lends; they may be longer apart than
/// they are long, since direct I/O wants each on a boundary. Immutable, usable from any thread.
public struct StripeCoder: Sendable {
  /// The blocks of a stripe.
  public let scheme: ErasureScheme

  private let code: ReedSolomon

  /// Prepares the code of a scheme.
  public init(scheme: ErasureScheme) {
    self.scheme = scheme
    code = ReedSolomon(dataCount: scheme.data, parityCount: scheme.parity)
  }

  /// Computes the parity blocks of a stripe from its data blocks.
  ///
  /// Data block i is the `blockLength` bytes from `i * stride` of `data` on, parity block j those
  /// from `j * stride` of `parity` on; the two do not overlap. Throws `mismatchedBlocks` when a
  /// block would lie outside its memory.
  public func encode(
    data: UnsafeRawBufferPointer, parity: UnsafeMutableRawBufferPointer, blockLength: Int,
    stride: Int
  ) throws(ErasureError) {
    guard scheme.parity > 0 else { return }
    guard Self.fits(scheme.data, blockLength, stride, in: data.count),
      Self.fits(scheme.parity, blockLength, stride, in: parity.count)
    else { throw .mismatchedBlocks }
    try unsafe code.encode(
      data: (0..<scheme.data).map { block in
        unsafe UnsafeRawBufferPointer(
          rebasing: data[block * stride..<block * stride + blockLength])
      },
      parity: (0..<scheme.parity).map { block in
        unsafe UnsafeMutableRawBufferPointer(
          rebasing: parity[block * stride..<block * stride + blockLength])
      })
  }

  /// Prepares to make the `wanted` blocks out of the `available` ones, for any number of stripes.
  ///
  /// Blocks are numbered 0 to k - 1 for data, k to k + m - 1 for parity. The first k of
  /// `available` are used. Throws when they are fewer, or a number is outside or twice in a list.
  public func reconstruction(
    available: [Int], wanted: [Int]
  ) throws(ErasureError) -> Reconstruction {
    try code.reconstruction(available: available, wanted: wanted)
  }

  /// Moves the stored bytes of a stripe, which lie at the front of `region`, to where its data
  /// blocks begin, and fills each block with zeros.
  ///
  /// Afterwards block i is the `blockLength` bytes from `i * stride` on. Throws
  /// `mismatchedBlocks` when `count` bytes are more than the blocks hold, `stride` is below
  /// `blockLength`, or a block would lie outside the region.
  public func spread(
    _ region: UnsafeMutableRawBufferPointer, count: Int, blockLength: Int, stride: Int
  ) throws(ErasureError) {
    guard stride >= blockLength, Self.fits(scheme.data, blockLength, stride, in: region.count),
      count >= 0, count <= scheme.data * blockLength, let base = region.baseAddress
    else { throw .mismatchedBlocks }
    // From the last block on, since each moves up, into bytes that were moved before.
    for block in (0..<scheme.data).reversed() {
      let source = min(block * blockLength, count)
      let length = min(blockLength, count - source)
      let target = unsafe base + block * stride
      if length > 0 && block > 0 {
        unsafe target.copyMemory(from: base + source, byteCount: length)
      }
      unsafe UnsafeMutableRawBufferPointer(
        start: target + length, count: blockLength - length
      ).initializeMemory(as: UInt8.self, repeating: 0)
    }
  }

  private static func fits(_ count: Int, _ length: Int, _ stride: Int, in total: Int) -> Bool {
    guard length >= 0, stride >= length else { return false }
    let (start, overflow) = (count - 1).multipliedReportingOverflow(by: stride)
    return !overflow && start <= total && length <= total - start
  }
}
