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
    /// Those of them that may give something a moment later.
    var transient: UInt32 = 0
    /// Chunks whose failure was told already.
    var reported: UInt32 = 0
    var isClosed = false
  }

  let extent: Extent
  let geometry: ExtentGeometry
  /// Whether a store of the extent may be waited for without a thread.
  private let isDistant: Bool
  let engine: ObjectEngine
  /// Those that no stripe is being opened by: stripes are opened side by side.
  let openers: Mutex<[SegmentOpener]>
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
    isDistant = extent.stores.contains { engine.stores[$0] is any CancellableChunkStore }
    coder = StripeCoder(scheme: scheme)
    state = Mutex(State(failed: extent.missing))
    do {
      geometry = try ExtentGeometry(
        scheme: scheme, plaintextLength: Int(extent.plaintextLength))
      openers = Mutex([try Self.opener(of: extent, engine)])
    } catch {
      throw .corrupt
    }
  }

  static func opener(
    of extent: Extent, _ engine: ObjectEngine
  ) throws -> SegmentOpener {
    try engine.keys.opener(for: extent.id, wrappedKey: WrappedExtentKey(extent.wrappedKey))
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
    let lent = try await readBlocks(stripe, covering: stored, into: memory, layout: layout)
    try open(stripe, segments: segments, in: memory, layout: layout, lent: lent)
    let start = range.lowerBound - segments.lowerBound * SegmentLayout.plaintextByteCount
    return start..<start + range.count
  }

  // MARK: Chunks

  /// Brings the data blocks that hold `stored`, a range of the stripe's sealed bytes, to their
  /// places in the buffer, but for those that it returns.
  private func readBlocks(
    _ stripe: Stripe, covering stored: Range<Int>, into memory: AlignedBuffer,
    layout: StripeLayout
  ) async throws -> LentBlocks {
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
    let request = BlockRequest(
      stripe: stripe, part: part, wanted: first...last, memory: memory, layout: layout)
    let (have, lent) =
      isDistant
      ? try await gather(request)
      : (try await readOneByOne(first...last, stripe, part, into: memory, layout: layout), [:])
    let missing = (first...last).filter { !have.contains($0) }
    guard !missing.isEmpty else { return LentBlocks(part: part, blocks: lent) }
    for (index, bytes) in lent { bytes.copy(to: memory, at: request.place(of: index)) }
    try reconstruct(part, in: memory, layout: layout, have: have.sorted(), wanted: missing)
    return LentBlocks(part: part)
  }

  /// Reads blocks of stores that block: one after the other, and parity for those that fail.
  private func readOneByOne(
    _ wanted: ClosedRange<Int>, _ stripe: Stripe, _ part: Range<Int>,
    into memory: AlignedBuffer, layout: StripeLayout
  ) async throws -> Set<Int> {
    var have: Set<Int> = []
    for index in wanted
    where try await readPart(index, stripe, part, into: memory, layout: layout) {
      have.insert(index)
    }
    if have.count == wanted.count { return have }
    let k = geometry.scheme.data
    for index in 0..<geometry.scheme.total where have.count < k && !wanted.contains(index) {
      if try await readPart(index, stripe, part, into: memory, layout: layout) {
        have.insert(index)
      }
    }
    guard have.count >= k else { throw EngineError.unreadable(available: have.count, needed: k) }
    return have
  }

  /// Reads blocks of stores that suspend.
  private func gather(
    _ request: BlockRequest
  ) async throws -> (have: Set<Int>, lent: [Int: any LentBytes]) {
    let gathering = BlockGathering(self, request)
    do {
      try await gathering.run()
    } catch {
      for (index, error) in gathering.failures { await report(index, error) }
      throw error
    }
    for (index, error) in gathering.failures { await report(index, error) }
    return (
      Set(gathering.have.keys),
      gathering.have.compactMapValues { if case .lent(let bytes) = $0 { bytes } else { nil } }
    )
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
      let reader = try await chunk(index)
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
      mark(index, error, isWhole: !isBlock)
      await report(index, error)
      return false
    }
  }

  private func chunk(_ index: Int) async throws(ChunkStoreError) -> any ChunkReader {
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

  /// Tells of a chunk that failed, once, and has it made again if it is bad.
  private func report(_ index: Int, _ error: ChunkStoreError) async {
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: index)
    let isNew = state.withLock { state in
      defer { state.reported |= bit }
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

  // MARK: What gathering asks

  var options: FaultTolerance { engine.configuration.faults }
  var pace: ReadPace { engine.pace }
  var random: any RandomSource { engine.random }

  func isOpen(_ index: Int) -> Bool { state.withLock { $0.readers[index] != nil } }

  /// How late a chunk is to be asked: 0 at once, higher after others; nil for one that failed.
  func penalty(_ index: Int) -> Int? {
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: index)
    guard state.withLock({ $0.failed & bit == 0 }) else { return nil }
    let store = extent.stores[index]
    if engine.stores.state(of: store) == .offline { return 2 }
    return engine.pace.isSuspect(store) ? 1 : 0
  }

  /// The store of a chunk was given up.
  func suspect(_ index: Int) { engine.pace.suspect(extent.stores[index]) }

  /// Remembers that a chunk failed: all of it, or only the block that was asked for.
  func mark(_ index: Int, _ error: ChunkStoreError, isWhole: Bool) {
    let bit: UInt32 = 1 << UInt32(truncatingIfNeeded: index)
    guard isWhole else { return }
    state.withLock { state in
      state.failed |= bit
      if error.isTransient { state.transient |= bit }
    }
  }

  /// Chunks that failed and may give something a moment later.
  var transientFailures: Set<Int> {
    let bits = state.withLock { $0.transient }
    return Set((0..<geometry.scheme.total).filter { bits & 1 << UInt32($0) != 0 })
  }

  /// Chunks may be asked again.
  func forgive(_ indices: Set<Int>) {
    let bits = indices.reduce(0) { $0 | UInt32(1) << UInt32(truncatingIfNeeded: $1) }
    state.withLock { state in
      state.failed &= ~(bits & state.transient)
      state.transient &= ~bits
    }
  }

  /// Reads a part of a block where that has come already; nil where not.
  func fetchAtOnce(_ index: Int, _ request: BlockRequest) -> BlockPlace? {
    guard let reader = state.withLock({ $0.readers[index] }),
      let bytes = reader.lendAtOnce(request.chunkRange)
    else { return nil }
    return place(bytes, of: index, request)
  }

  /// Copies what was lent where it cannot be opened as it is.
  private func place(
    _ bytes: any LentBytes, of index: Int, _ request: BlockRequest
  ) -> BlockPlace {
    if request.isLendable { return .lent(bytes) }
    bytes.copy(to: request.memory, at: request.place(of: index))
    return .buffer
  }

  /// Reads a part of a block.
  func fetch(
    _ index: Int, _ request: BlockRequest, _ kind: ReadPace.Kind
  ) async -> BlockOutcome {
    let start = options.clock.now
    var isOpen = false
    do throws(ChunkStoreError) {
      let reader = try await chunk(index)
      isOpen = true
      if let bytes = try await reader.lend(request.chunkRange) {
        return .read(options.clock.now - start, kind, place(bytes, of: index, request))
      }
      try await reader.read(
        request.chunkRange, into: request.memory, at: request.place(of: index))
      return .read(options.clock.now - start, kind, .buffer)
    } catch {
      // A bad block costs its stripe only.
      let isBlock = if case .corrupt = error { isOpen } else { false }
      return .failed(error, isWhole: !isBlock)
    }
  }
}
