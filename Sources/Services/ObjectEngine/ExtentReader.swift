import Base
import ChunkStore
import Erasure
import ISAL
import Metadata
import Runtime
import Sealing
import Synchronization
import Telemetry

/// Reads one extent: any k of its chunks suffice.
///
/// A chunk that fails is replaced by parity from then on and queued for repair. Several tasks may
/// read stripes of it at once; its calls run on the caller's executor, which may block.
final class ExtentReader: Sendable {
  private struct State {
    var readers: [Int: any ChunkReader] = [:]
    /// Chunks that give nothing, a bit for each.
    var failed: UInt32
    /// Chunks whose failure was told already.
    var reported: UInt32 = 0
    var isClosed = false
  }

  let extent: Extent
  let geometry: ExtentGeometry
  private let engine: ObjectEngine
  private let opener: SegmentOpener
  private let coder: StripeCoder
  private let state: Mutex<State>

  /// Throws `corrupt` when the extent's key does not open or its row makes no sense.
  init(_ extent: Extent, engine: ObjectEngine) throws(EngineError) {
    guard
      let scheme = ErasureScheme(data: extent.dataCount, parity: extent.parityCount),
      extent.stores.count == scheme.total, extent.digests.count == scheme.total
    else { throw .corrupt }
    self.extent = extent
    self.engine = engine
    coder = StripeCoder(scheme: scheme)
    state = Mutex(State(failed: extent.missing))
    do {
      geometry = try ExtentGeometry(
        scheme: scheme, plaintextLength: Int(extent.plaintextLength))
      opener = try engine.keys.opener(
        for: extent.id, wrappedKey: WrappedExtentKey(extent.wrappedKey))
    } catch {
      throw .corrupt
    }
  }

  /// Closes the chunks. Reads that still run fail.
  func close() {
    let open = state.withLock { state in
      state.isClosed = true
      defer { state.readers = [:] }
      return state.readers
    }
    for reader in open.values { reader.close() }
  }

  /// How a buffer for stripes of this extent is laid out.
  func layout(stripe: Int) -> StripeLayout {
    let stripe = geometry.stripe(stripe)
    return StripeLayout(
      scheme: geometry.scheme, blockLength: stripe.blockLength,
      plaintextLength: geometry.scheme.data * stripe.blockLength)
  }

  /// Reads and opens the bytes `range` of a stripe's plaintext into the buffer, laid out by
  /// `layout(stripe:)`; returns where they lie in it.
  func read(
    stripe index: Int, plaintext range: Range<Int>, into memory: AlignedBuffer,
    layout: StripeLayout
  ) async throws -> Range<Int> {
    let stripe = geometry.stripe(index)
    let segments = SegmentLayout.segments(covering: range)
    let stored =
      segments.lowerBound
      * SegmentLayout.storedByteCount..<min(
        segments.upperBound * SegmentLayout.storedByteCount, stripe.storedRange.count)
    try await readBlocks(stripe, covering: stored, into: memory, layout: layout)
    try open(stripe, segments: segments, in: memory, layout: layout)
    let start = range.lowerBound - segments.lowerBound * SegmentLayout.plaintextByteCount
    return start..<start + range.count
  }

  // MARK: Chunks

  /// Brings the data blocks that hold `stored`, a range of the stripe's sealed bytes, to their
  /// places in the buffer.
  private func readBlocks(
    _ stripe: Stripe, covering stored: Range<Int>, into memory: AlignedBuffer,
    layout: StripeLayout
  ) async throws {
    let length = stripe.blockLength
    let first = stored.lowerBound / length
    let last = (stored.upperBound - 1) / length
    // The same part of every block, so that parity can stand in for any of them.
    let unit = ChunkLimits.checksumSpan
    let part =
      first == last
      ? (stored.lowerBound - first * length) / unit
        * unit..<min(
          length, ByteCount.roundUp(stored.upperBound - first * length, to: unit))
      : 0..<length
    var have: Set<Int> = []
    for index in first...last
    where try await readPart(index, stripe, part, into: memory, layout: layout) {
      have.insert(index)
    }
    let wanted = Set(first...last).subtracting(have)
    guard !wanted.isEmpty else { return }
    let k = geometry.scheme.data
    let others = (0..<k + geometry.scheme.parity).filter { !(first...last).contains($0) }
    for index in others where have.count < k {
      if try await readPart(index, stripe, part, into: memory, layout: layout) {
        have.insert(index)
      }
    }
    guard have.count >= k else { throw EngineError.unreadable(available: have.count, needed: k) }
    try reconstruct(part, in: memory, layout: layout, have: have.sorted(), wanted: wanted.sorted())
  }

  private func reconstruct(
    _ part: Range<Int>, in memory: AlignedBuffer, layout: StripeLayout, have: [Int], wanted: [Int]
  ) throws {
    let reconstruction = try coder.reconstruction(available: have, wanted: wanted)
    try unsafe memory.withMutableBytes(0..<memory.count) { all in
      func place(_ index: Int) -> UnsafeMutableRawBufferPointer {
        let start = layout.block(index)
        return unsafe UnsafeMutableRawBufferPointer(
          rebasing: all[start + part.lowerBound..<start + part.upperBound])
      }
      try unsafe reconstruction.reconstruct(
        from: reconstruction.sources.map { unsafe UnsafeRawBufferPointer(place($0)) },
        into: reconstruction.wanted.map { unsafe place($0) })
    }
  }

  /// Reads a part of one block; false when its chunk cannot give it.
  private func readPart(
    _ index: Int, _ stripe: Stripe, _ part: Range<Int>, into memory: AlignedBuffer,
    layout: StripeLayout
  ) async throws -> Bool {
    guard state.withLock({ $0.failed & 1 << UInt32(truncatingIfNeeded: index) == 0 }) else {
      return false
    }
    var isOpen = false
    do throws(ChunkStoreError) {
      let reader = try await reader(index)
      isOpen = true
      let offset = stripe.chunkOffset
      try await reader.read(
        offset + part.lowerBound..<offset + part.upperBound, into: memory,
        at: layout.block(index) + part.lowerBound)
      return true
    } catch {
      try Task.checkCancellation()
      // A bad block costs its stripe only: in other stripes the chunk may be the one that is needed.
      let isBlock = if case .corrupt = error { isOpen } else { false }
      await fail(index, error, isWhole: !isBlock)
      return false
    }
  }

  private func reader(_ index: Int) async throws(ChunkStoreError) -> any ChunkReader {
    if let known = state.withLock({ $0.readers[index] }) { return known }
    guard let store = engine.stores[extent.stores[index]] else { throw .offline("unknown store") }
    let opened = try await store.openChunk(ChunkID(extent: extent.id, index: UInt8(index)))
    guard opened.trailer.extentLength == geometry.plaintextLength,
      opened.trailer.sha256 == extent.digests[index]
    else {
      opened.close()
      throw .corrupt("the chunk is not the one that was written")
    }
    // Two stripes may open a chunk at once: the second steps back.
    let kept = state.withLock { state -> (any ChunkReader)? in
      if let other = state.readers[index] { return other }
      if state.isClosed { return nil }
      state.readers[index] = opened
      return opened
    }
    guard let kept else {
      opened.close()
      throw .offline("the read has ended")
    }
    if kept !== opened { opened.close() }
    return kept
  }

  private func fail(_ index: Int, _ error: ChunkStoreError, isWhole: Bool) async {
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: index)
    let isNew = state.withLock { state in
      defer { state.reported |= bit }
      if isWhole { state.failed |= bit }
      return state.reported & bit == 0 && !state.isClosed
    }
    guard isNew else { return }
    engine.log.warning(
      "a chunk cannot be read",
      [
        ("extent", "\(extent.id)"), ("chunk", "\(index)"),
        ("store", "\(extent.stores[index])"), ("error", "\(error)"),
      ])
    switch error {
    case .missing, .corrupt: break
    case .offline, .full, .fenced, .tooLarge, .io: return
    }
    do {
      try await engine.metadata.queueRepair(extent.id, chunks: bit, reason: "\(error)")
    } catch {
      engine.log.warning("a repair could not be queued", [("error", "\(error)")])
    }
  }

  // MARK: Segments

  private func open(
    _ stripe: Stripe, segments: Range<Int>, in memory: AlignedBuffer, layout: StripeLayout
  ) throws {
    compact(stripe, segments: segments, in: memory, layout: layout)
    var target = 0
    for segment in segments {
      let start = segment * SegmentLayout.storedByteCount
      let end = min(start + SegmentLayout.storedByteCount, stripe.storedRange.count)
      let length = end - start - SegmentLayout.tagByteCount
      let index = stripe.storedRange.lowerBound / SegmentLayout.storedByteCount + segment
      do {
        try unsafe memory.withBytes(layout.blocksOffset + start..<layout.blocksOffset + end) {
          stored in
          try unsafe memory.withMutableBytes(target..<target + length) { plaintext in
            try unsafe opener.open(
              stored, into: plaintext, index: UInt64(index),
              isLast: index == geometry.segmentCount - 1)
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
