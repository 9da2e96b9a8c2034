import Base
import ChunkStore
import Erasure
import ISAL
import Runtime
import Sealing

/// Plaintext of one stripe on its way into an extent.
struct PlainStripe: Sendable {
  let buffer: StripeBuffer
  let layout: StripeLayout
  /// Plaintext bytes at the start of the layout.
  let count: Int
  /// Whether the extent ends with it.
  let isLast: Bool

  /// Where the plaintext lies in the buffer.
  var range: Range<Int> { layout.start..<layout.start + count }
}

/// A stripe whose blocks are ready to be stored.
struct CodedStripe: Sendable {
  let buffer: StripeBuffer
  let layout: StripeLayout
  /// Bytes of each block.
  let blockLength: Int
  let isLast: Bool

  /// Where block `index` lies in the buffer.
  func range(_ index: Int) -> Range<Int> {
    let start = layout.block(index)
    return start..<start + blockLength
  }
}

/// Seals and codes the stripes of one extent, in order. Used by one task at a time.
final class StripeEncoder: @unchecked Sendable {
  // `Sendable` because lanes hand it back at their end; never used by two tasks at once.
  private let draft: ExtentDraft
  private let scheme: ErasureScheme
  private let sealer: SegmentSealer
  private let coder: StripeCoder
  private let digesters: [ChunkDigester]

  init(_ draft: ExtentDraft) {
    self.draft = draft
    scheme = draft.scheme
    sealer = draft.sealer.segments
    coder = StripeCoder(scheme: scheme)
    digesters = (0..<scheme.total).map { index in
      ChunkDigester(id: ChunkID(extent: draft.id, index: UInt8(index)))
    }
  }

  /// Fills the block region of the stripe's buffer.
  func encode(_ stripe: PlainStripe) -> CodedStripe {
    let layout = stripe.layout
    let memory = stripe.buffer.memory
    let stored = seal(stripe)
    let blockLength = StripeLayout.blockLength(stored: stored, scheme: scheme)
    let region = layout.dataRegion
    let parity = layout.block(scheme.data)..<layout.end
    do throws(ErasureError) {
      try unsafe memory.withMutableBytes(region) { region throws(ErasureError) in
        try unsafe coder.spread(
          region, count: stored, blockLength: blockLength, stride: layout.blockStride)
        try unsafe memory.withMutableBytes(parity) { parity throws(ErasureError) in
          try unsafe coder.encode(
            data: UnsafeRawBufferPointer(region), parity: parity, blockLength: blockLength,
            stride: layout.blockStride)
        }
      }
    } catch {
      preconditionFailure("the layout fits its scheme: \(error)")
    }
    for (index, digester) in digesters.enumerated() {
      let start = layout.block(index)
      unsafe memory.withBytes(start..<start + blockLength) { unsafe digester.append($0) }
      memory.zero(start + blockLength..<start + ByteCount.roundUp(blockLength, to: 4096))
    }
    return CodedStripe(
      buffer: stripe.buffer, layout: layout, blockLength: blockLength, isLast: stripe.isLast)
  }

  /// The trailers of the chunks, once all stripes have passed.
  func trailers(plaintextLength: Int64, descriptor: ExtentDescriptor) throws -> [ChunkTrailer] {
    let geometry = try ExtentGeometry(scheme: scheme, plaintextLength: Int(plaintextLength))
    let sealed = try draft.sealer.sealDescriptor(descriptor)
    return digesters.map { digester in
      digester.finish(
        extentLength: geometry.plaintextLength, storedLength: geometry.storedLength,
        wrappedKey: draft.sealer.wrappedKey.bytes, descriptor: sealed)
    }
  }

  /// Seals the plaintext into the block region without gaps; returns the bytes that it fills.
  private func seal(_ stripe: PlainStripe) -> Int {
    let memory = stripe.buffer.memory
    var source = stripe.range.lowerBound
    var target = stripe.layout.blocksOffset
    repeat {
      let length = min(SegmentLayout.plaintextByteCount, stripe.range.upperBound - source)
      let isLast = stripe.isLast && source + length == stripe.range.upperBound
      let end = target + length + SegmentLayout.tagByteCount
      unsafe memory.withBytes(source..<source + length) { plaintext in
        unsafe memory.withMutableBytes(target..<end) { stored in
          unsafe sealer.seal(plaintext, into: stored, isLast: isLast)
        }
      }
      source += length
      target = end
    } while source < stripe.range.upperBound
    return target - stripe.layout.blocksOffset
  }
}
