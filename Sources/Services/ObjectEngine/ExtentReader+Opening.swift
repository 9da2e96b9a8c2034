import Base
import ChunkStore
import Erasure
import Runtime
import Sealing
import Synchronization

/// Blocks of a stripe that are where they came to instead of in its buffer.
struct LentBlocks: Sendable {
  /// What of each block there is.
  let part: Range<Int>
  var blocks: [Int: any LentBytes] = [:]
}

extension ExtentReader {
  /// Opens segments of a stripe to the front of the buffer.
  func open(
    _ stripe: Stripe, segments: Range<Int>, in memory: AlignedBuffer, layout: StripeLayout,
    lent: LentBlocks
  ) throws {
    compact(stripe, segments: segments, in: memory, layout: layout)
    let opener = try openers.withLock { $0.popLast() } ?? Self.opener(of: extent, engine)
    defer { openers.withLock { $0.append(opener) } }
    var target = 0
    for segment in segments {
      let start = segment * SegmentLayout.storedByteCount
      let end = min(start + SegmentLayout.storedByteCount, stripe.storedRange.count)
      let length = end - start - SegmentLayout.tagByteCount
      let index = stripe.storedRange.lowerBound / SegmentLayout.storedByteCount + segment
      let isLast = index == geometry.segmentCount - 1
      let block = start / stripe.blockLength
      do {
        try unsafe memory.withMutableBytes(target..<target + length) { plaintext in
          if let bytes = lent.blocks[block] {
            let origin = block * stripe.blockLength + lent.part.lowerBound
            try unsafe bytes.withRuns(start - origin..<end - origin) { runs in
              try unsafe opener.open(runs, into: plaintext, index: UInt64(index), isLast: isLast)
            }
          } else {
            let place = layout.blocksOffset + start..<layout.blocksOffset + end
            try unsafe memory.withBytes(place) { stored in
              try unsafe opener.open(stored, into: plaintext, index: UInt64(index), isLast: isLast)
            }
          }
        }
      } catch {
        throw EngineError.corrupt
      }
      target += length
    }
  }

  /// Closes the gaps between blocks whose length is no multiple of the stride.
  private func compact(
    _ stripe: Stripe, segments: Range<Int>, in memory: AlignedBuffer, layout: StripeLayout
  ) {
    let length = stripe.blockLength
    guard length != layout.blockStride else { return }
    let last = min(segments.upperBound * SegmentLayout.storedByteCount, stripe.storedRange.count)
    let lastBlock = (last - 1) / length
    guard lastBlock >= 1 else { return }
    for block in 1...lastBlock {
      let start = layout.block(block)
      memory.move(start..<start + length, to: layout.blocksOffset + block * length)
    }
  }
}
