import Base
import Checksums
import ChunkStore
import Erasure
import Metadata
import Runtime
import Sealing

/// What becomes of the content of a write.
struct ContentPlan: Sendable {
  /// Whether content up to the inline limit goes into metadata.
  var allowsInline: Bool
  /// Checksums to compute.
  var algorithms: [ChecksumAlgorithm]
  /// The most bytes that are taken.
  var maximumSize: Int64
}

/// Content that is durable in the stores, or sealed and ready to be durable in metadata.
struct WrittenContent: Sendable {
  var digests: ContentDigests
  var content: ObjectCommit.Content
}

/// Reads a source to its end and writes what it gives as one extent or inline.
///
/// Content of hardly more than a stripe takes one pass; what is longer goes through three lanes
/// that work side by side: digests, sealing and coding, and storing.
struct ContentWriter {
  let engine: ObjectEngine
  let plan: ContentPlan
  /// The id of the extent; nil for one of this writer.
  var extentID: ExtentID?
  /// Looks at the digests before anything is made durable; throws to refuse the content.
  let check: (ContentDigests) throws -> Void
  /// Describes the content for the chunks' sealed descriptor.
  let describe: (ContentDigests) -> ExtentDescriptor

  private var configuration: EngineConfiguration { engine.configuration }
  private var scheme: ErasureScheme { configuration.scheme }
  private var stripePlaintext: Int { scheme.data * 4 * SegmentLayout.plaintextByteCount }

  func write(_ original: any ObjectSource) async throws -> WrittenContent {
    let source = PeekingSource(original)
    let expected = source.expectedLength
    if let expected, expected > plan.maximumSize {
      throw EngineError.tooLarge(limit: plan.maximumSize)
    }
    let firstLength = Int(min(expected ?? Int64(stripePlaintext), Int64(stripePlaintext)))
    let isKnownSmall = plan.allowsInline && firstLength <= configuration.inlineLimit
    if isKnownSmall && expected != nil { return try await writeInline(source, firstLength) }
    if let expected, firstLength < expected, expected <= shortLimit {
      return try await writeWhole(shortContent(source, Int(expected)))
    }
    let first = try await firstStripe(source, firstLength)
    guard let whole = first.takeIfLast() else { return try await writeStreaming(first, source) }
    if plan.allowsInline && whole.count <= configuration.inlineLimit {
      let hasher = ContentHasher(algorithms: plan.algorithms)
      hasher.update(whole.buffer.memory, 0..<whole.count)
      return try seal(whole.buffer.memory, whole.count, digests: hasher.finish())
    }
    return try await writeWhole([whole])
  }

  /// The first stripe on its way: whoever takes it is the only one that holds its buffer.
  private final class FirstStripe {
    private var stripe: PlainStripe?

    init(_ stripe: PlainStripe) { self.stripe = stripe }

    func take() -> PlainStripe? { stripe.take() }

    func takeIfLast() -> PlainStripe? { stripe?.isLast == true ? stripe.take() : nil }
  }

  private func firstStripe(
    _ source: PeekingSource, _ length: Int
  ) async throws -> FirstStripe {
    let layout = layout(plaintextLength: length)
    let buffer = try await engine.buffers.stripe(layout.end)
    let count = try await source.fill(buffer.memory, limit: length)
    let isWhole = try await isAtEnd(source, after: Int64(count), isShort: count < length)
    return FirstStripe(
      PlainStripe(buffer: buffer, layout: layout, count: count, isLast: isWhole))
  }

  /// A layout for stripes of at most so much plaintext.
  private func layout(plaintextLength: Int, start: Int = 0) -> StripeLayout {
    let stored = SegmentLayout.storedByteCount(plaintext: plaintextLength)
    return StripeLayout(
      scheme: scheme,
      blockLength: StripeLayout.blockLength(stored: stored, scheme: scheme),
      plaintextLength: plaintextLength, start: start)
  }

  // MARK: Content in one pass

  /// The most bytes of known length that take one pass: a stripe and a quarter. One MiB is a stripe
  /// and 272 bytes.
  private var shortLimit: Int64 { Int64(stripePlaintext + stripePlaintext / 4) }

  /// Two stripes in one buffer: two of them could each wait for another's second.
  private func shortContent(
    _ source: PeekingSource, _ length: Int
  ) async throws -> [PlainStripe] {
    let rest = length - stripePlaintext
    let first = layout(plaintextLength: stripePlaintext)
    let second = layout(plaintextLength: rest, start: first.end)
    let buffer = try await engine.buffers.stripe(second.end)
    for (layout, count) in [(first, stripePlaintext), (second, rest)] {
      guard try await source.fill(buffer.memory, at: layout.start, limit: count) == count
      else { throw EngineError.incompleteBody }
    }
    _ = try await isAtEnd(source, after: Int64(length), isShort: false)
    return [
      PlainStripe(buffer: buffer, layout: first, count: stripePlaintext, isLast: false),
      PlainStripe(buffer: buffer, layout: second, count: rest, isLast: true),
    ]
  }

  private func writeInline(
    _ source: PeekingSource, _ length: Int
  ) async throws -> WrittenContent {
    let buffer = try await engine.buffers.stripe(max(length, 1))
    let count = try await source.fill(buffer.memory, limit: length)
    _ = try await isAtEnd(source, after: Int64(count), isShort: count < length)
    let hasher = ContentHasher(algorithms: plan.algorithms)
    hasher.update(buffer.memory, 0..<count)
    return try seal(buffer.memory, count, digests: hasher.finish())
  }

  private func seal(
    _ memory: AlignedBuffer, _ count: Int, digests: ContentDigests
  ) throws -> WrittenContent {
    try check(digests)
    // It would go into the change log, whose room in the stores' reserve is for deletes.
    guard !engine.stores.isFull else { throw EngineError.storesFull }
    let inline = engine.sealInline(memory.bytes(0..<count))
    return WrittenContent(digests: digests, content: .inline(inline))
  }

  private func writeWhole(_ stripes: [PlainStripe]) async throws -> WrittenContent {
    let draft = try engine.draftExtent(scheme: scheme, id: extentID)
    let algorithms = plan.algorithms
    let coded = await engine.pool.run {
      let hasher = ContentHasher(algorithms: algorithms)
      for stripe in stripes { hasher.update(stripe.buffer.memory, stripe.range) }
      let encoder = StripeEncoder(draft)
      let coded = stripes.map { encoder.encode($0) }
      return (stripes: coded, encoder: encoder, digests: hasher.finish())
    }
    try check(coded.digests)
    let fanOut = ChunkFanOut(draft, engine: engine)
    let trailers = try coded.encoder.trailers(
      plaintextLength: coded.digests.size, descriptor: describe(coded.digests))
    return try await engine.discardingOnFailure(fanOut.draft) {
      try await fanOut.store(coded.stripes, trailers)
      var extent = fanOut.draft.row(
        trailers, plaintextLength: coded.digests.size, missing: fanOut.missing)
      extent.awaitsSpread = engine.stores.awaitsSpread(extent, at: extent.stores)
      return WrittenContent(digests: coded.digests, content: .extents([extent]))
    }
  }

  // MARK: Content of many stripes

  private func writeStreaming(
    _ first: FirstStripe, _ source: PeekingSource
  ) async throws -> WrittenContent {
    let draft = try engine.draftExtent(scheme: scheme, id: extentID)
    let fanOut = ChunkFanOut(draft, engine: engine)
    let lanes = WriteLanes()
    let pool = engine.pool
    let hasher = ContentHasher(algorithms: plan.algorithms)
    let encoder = StripeEncoder(draft)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask(executorPreference: pool) { try await lanes.runDigests(hasher) }
        group.addTask(executorPreference: pool) { try await lanes.runCoding(encoder) }
        group.addTask(executorPreference: pool) { try await lanes.runStoring(fanOut) }
        do {
          try await produce(first, source, into: lanes)
          lanes.finish()
        } catch {
          lanes.fail(error)
          throw error
        }
        try await group.waitForAll()
      }
      let digests = hasher.finish()
      try check(digests)
      let trailers = try encoder.trailers(
        plaintextLength: digests.size, descriptor: describe(digests))
      return try await engine.discardingOnFailure(fanOut.draft) {
        try await fanOut.finish(trailers, plaintextLength: digests.size)
        var extent = fanOut.draft.row(
          trailers, plaintextLength: digests.size, missing: fanOut.missing)
        extent.awaitsSpread = engine.stores.awaitsSpread(extent, at: extent.stores)
        return WrittenContent(digests: digests, content: .extents([extent]))
      }
    } catch {
      await fanOut.abort()
      throw error
    }
  }

  private func produce(
    _ first: FirstStripe, _ source: PeekingSource, into lanes: WriteLanes
  ) async throws {
    var total: Int64 = 0
    var isDone = try await sendFirst(first, &total, into: lanes)
    while !isDone { isDone = try await sendNext(source, &total, into: lanes) }
  }

  private func sendFirst(
    _ first: FirstStripe, _ total: inout Int64, into lanes: WriteLanes
  ) async throws -> Bool {
    guard let stripe = first.take() else { return true }
    total += Int64(stripe.count)
    try await lanes.send(stripe)
    return stripe.isLast
  }

  /// Reads and sends one stripe; true when it was the last.
  ///
  /// A function of its own, so that the buffer of the stripe before is given up when this one
  /// waits for the budget: writers that keep one while they wait for another would wait for each
  /// other for ever.
  private func sendNext(
    _ source: PeekingSource, _ total: inout Int64, into lanes: WriteLanes
  ) async throws -> Bool {
    // Full stripes need the full layout: the first buffer was sized for one already.
    let layout = layout(plaintextLength: stripePlaintext)
    let buffer = try await engine.buffers.stripe(layout.end)
    let begun = total
    let expected = source.expectedLength.map { Int(min($0 - begun, Int64(stripePlaintext))) }
    let limit = expected ?? stripePlaintext
    let count = try await source.fill(buffer.memory, limit: limit)
    total += Int64(count)
    let isLast = try await isAtEnd(source, after: total, isShort: count < limit)
    try await lanes.send(
      PlainStripe(buffer: buffer, layout: layout, count: count, isLast: isLast))
    return isLast
  }

  /// Whether nothing follows `total` bytes; `isShort` says that fewer came than were wanted.
  private func isAtEnd(
    _ source: PeekingSource, after total: Int64, isShort: Bool
  ) async throws -> Bool {
    guard total <= plan.maximumSize else { throw EngineError.tooLarge(limit: plan.maximumSize) }
    guard let expected = source.expectedLength else {
      return isShort ? true : try await !source.hasMore()
    }
    if isShort { throw EngineError.incompleteBody }
    guard total == expected else { return false }
    if try await source.hasMore() { throw EngineError.tooLarge(limit: expected) }
    return true
  }
}
