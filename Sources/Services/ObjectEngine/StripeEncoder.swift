import Base
import ChunkStore
import Erasure
import Runtime
import Sealing

/// Plaintext of one stripe on its way into an extent.
struct PlainStripe: Sendable {
  let buffer: StripeBuffer
  let layout: StripeLayout
  /// Plaintext bytes at the start of the buffer.
  let count: Int
  /// Whether the extent ends with it.
  let isLast: Bool
}

/// A stripe whose blocks are ready to be stored.
struct CodedStripe: Sendable {
  let buffer: StripeBuffer
  let layout: StripeLayout
  /// Bytes of each block.
  let blockLength: Int
  let isLast: Bool
}

/// Seals and codes the stripes of one extent, in order. Used by one task at a time.
final class StripeEncoder: @unchecked Sendable {
  // `Sendable` because lanes hand it back at their end; never used by two tasks at once.
  private let scheme: ErasureScheme
  private let sealer: SegmentSealer
  private let coder: StripeCoder
  private let digesters: [ChunkDigester]

  init(_ draft: ExtentDraft) {
    scheme = draft.scheme
    sealer = draft.sealer.segments
    coder = StripeCoder(scheme)
    digesters = (0..<scheme.total).map { index in
      ChunkDigester(ChunkID(extent: draft.id, index: UInt8(index)))
    }
  }

  /// Fills the block region of the stripe's buffer.
  func encode(_ stripe: PlainStripe) -> CodedStripe {
    let layout = stripe.layout
    let memory = stripe.buffer.memory
    let stored = seal(stripe)
    let blockLength = StripeLayout.blockLength(stored: stored, scheme: scheme)
    let total = blockLength * scheme.data
    memory.zero(layout.blocksOffset + stored..<layout.blocksOffset + total)
    spread(memory, layout, blockLength: blockLength)
    coder.encode(
      memory, firstBlock: layout.blocksOffset, stride: layout.blockStride, length: blockLength)
    for (index, digester) in digesters.enumerated() {
      let start = layout.block(index)
      digester.update(memory, start..<start + blockLength)
      memory.zero(start + blockLength..<start + ByteCount.roundUp(blockLength, to: 4096))
    }
    return CodedStripe(
      buffer: stripe.buffer, layout: layout, blockLength: blockLength, isLast: stripe.isLast)
  }

  /// The digests of the chunks, once all stripes have passed.
  func finish() -> [ChunkDigest] { digesters.map { $0.finish() } }

  /// Seals the plaintext into the block region without gaps; returns the bytes that it fills.
  private func seal(_ stripe: PlainStripe) -> Int {
    let memory = stripe.buffer.memory
    var source = 0
    var target = stripe.layout.blocksOffset
    repeat {
      let length = min(SegmentLayout.plaintextByteCount, stripe.count - source)
      let isLast = stripe.isLast && source + length == stripe.count
      let end = target + length + SegmentLayout.tagByteCount
      unsafe memory.withBytes(source..<source + length) { plaintext in
        unsafe memory.withMutableBytes(target..<end) { stored in
          unsafe sealer.seal(plaintext, into: stored, isLast: isLast)
        }
      }
      source += length
      target = end
    } while source < stripe.count
    return target - stripe.layout.blocksOffset
  }

  /// Moves data blocks that lie one behind the other to their places, the last one first.
  private func spread(_ memory: AlignedBuffer, _ layout: StripeLayout, blockLength: Int) {
    guard blockLength != layout.blockStride else { return }
    for index in (0..<scheme.data).reversed() {
      let start = layout.blocksOffset + index * blockLength
      memory.move(start..<start + blockLength, to: layout.block(index))
    }
  }
}
