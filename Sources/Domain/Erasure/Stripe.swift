/// One stripe of an extent: what it holds, and where each chunk keeps its block of it.
public struct Stripe: Hashable, Sendable {
  /// Its number, from 0.
  public let index: Int
  /// The stored bytes that it holds; they fill its data blocks in order, zeros behind them.
  public let storedRange: Range<Int>
  /// Bytes of each of its blocks, parity included.
  public let blockLength: Int
  /// Where its block begins in the data of each chunk.
  public let chunkOffset: Int

  /// The bytes of each chunk's data that are its block.
  public var chunkRange: Range<Int> { chunkOffset..<chunkOffset + blockLength }

  /// The stored bytes that a data block holds; empty when it holds zeros only.
  ///
  /// Precondition: `block` is not negative.
  public func storedRange(ofBlock block: Int) -> Range<Int> {
    precondition(block >= 0, "a block number is not negative")
    let start = min(storedRange.lowerBound + block * blockLength, storedRange.upperBound)
    return start..<min(start + blockLength, storedRange.upperBound)
  }
}

/// A run of stored bytes inside one data block.
public struct BlockPiece: Hashable, Sendable {
  /// The stripe that the block belongs to.
  public let stripe: Int
  /// The data block, which is also the index of the chunk that has it.
  public let block: Int
  /// The stored bytes.
  public let storedRange: Range<Int>
  /// The same bytes as offsets into the chunk's data.
  public let chunkRange: Range<Int>
}

extension ExtentGeometry {
  /// One stripe.
  ///
  /// Precondition: `index` is one of the extent's.
  public func stripe(_ index: Int) -> Stripe {
    precondition((0..<stripeCount).contains(index), "stripe outside the extent")
    let start = index * fullStripeLength
    return Stripe(
      index: index, storedRange: start..<min(start + fullStripeLength, storedLength),
      blockLength: index < fullStripeCount ? Self.fullBlockLength : shortBlockLength,
      chunkOffset: index * Self.fullBlockLength)
  }

  /// The stripes that hold a range of stored bytes; none for an empty range.
  ///
  /// Precondition: `range` lies in the stored bytes.
  public func stripes(ofStored range: Range<Int>) -> Range<Int> {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= storedLength, "range outside the stored bytes")
    let first = range.lowerBound / fullStripeLength
    guard !range.isEmpty else { return first..<first }
    return first..<(range.upperBound - 1) / fullStripeLength + 1
  }

  /// The part of a range of stored bytes that lies in one stripe, block by block, in order.
  ///
  /// Precondition: `range` lies in the stored bytes, `stripe` in the extent.
  public func pieces(ofStored range: Range<Int>, inStripe stripe: Int) -> [BlockPiece] {
    let row = self.stripe(stripe)
    let part = range.clamped(to: row.storedRange)
    guard !part.isEmpty else { return [] }
    let origin = row.storedRange.lowerBound
    let first = (part.lowerBound - origin) / row.blockLength
    let last = (part.upperBound - 1 - origin) / row.blockLength
    return (first...last).map { block in
      let held = row.storedRange(ofBlock: block)
      let stored = part.clamped(to: held)
      let offset = row.chunkOffset + stored.lowerBound - held.lowerBound
      return BlockPiece(
        stripe: stripe, block: block, storedRange: stored,
        chunkRange: offset..<offset + stored.count)
    }
  }
}
