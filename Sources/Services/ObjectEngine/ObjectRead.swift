import Base
import ChunkStore
import Erasure
import Metadata
public import Runtime
import Sealing

/// A read of a range of an object, begun before its first byte is promised to a client.
///
/// `prepare` reads the first stripe, so that what cannot be read fails while an error can still be
/// answered; `stream` then delivers everything, reading ahead. Both are called once, by one task.
public final class ObjectRead: @unchecked Sendable {
  // `Sendable` so that the answer that streams it can be passed on; one task uses it at a time.
  /// Takes pieces of content in order; the buffer is the read's own again when it returns.
  public typealias Sink = (AlignedBuffer, Range<Int>) async throws -> Void

  private struct Piece: Sendable {
    let reader: ExtentReader
    let stripe: Int
    let range: Range<Int>

    var layout: StripeLayout { reader.layout(stripe: stripe) }
    var byteCount: Int { layout.end }
  }

  private struct Content: Sendable {
    let buffer: StripeBuffer
    let range: Range<Int>
  }

  private let engine: ObjectEngine
  private let readers: [ExtentReader]
  private let token: UInt64
  /// The version whose extents came from the cache; nil when they came from the database.
  private let cachedVersion: VersionNumber?
  private var pieces: [Piece] = []
  private var first: Content?

  init(
    engine: ObjectEngine, links: [ExtentLink], range: Range<Int64>, token: UInt64,
    cachedVersion: VersionNumber? = nil
  ) throws {
    self.engine = engine
    self.cachedVersion = cachedVersion
    self.token = token
    var readers: [ExtentReader] = []
    do {
      for link in links {
        let held = (link.offset..<link.offset + link.length).clamped(to: range)
        guard !held.isEmpty else { continue }
        let reader = try ExtentReader(link.extent, engine: engine)
        readers.append(reader)
        let inExtent = Int(held.lowerBound - link.offset)..<Int(held.upperBound - link.offset)
        Self.appendPieces(reader, inExtent, to: &pieces)
      }
      guard pieces.reduce(0, { $0 + $1.range.count }) == range.count else {
        // Replaced or deleted between the look-up of the version and that of its extents.
        throw EngineError.metadata(.noSuchVersion)
      }
    } catch {
      engine.reads.end(token)
      throw error
    }
    self.readers = readers
  }

  deinit {
    for reader in readers { reader.close() }
    engine.reads.end(token)
  }

  /// Whether chunks may have moved since their places were looked up.
  var isFromCache: Bool { cachedVersion != nil }

  /// Reads the first stripe. Throws `EngineError` when the range cannot be read.
  public func prepare() async throws {
    guard let piece = pieces.first else { return }
    let buffer = try await engine.buffers.stripe(piece.byteCount)
    do {
      first = try await withTaskExecutorPreference(engine.pool) {
        try await Self.read(piece, into: buffer)
      }
    } catch {
      await doubtCache()
      throw error
    }
  }

  /// The next read of the version asks the database where its chunks are.
  private func doubtCache() async {
    if let cachedVersion { await engine.extentCache?.forget(cachedVersion) }
  }

  /// Delivers the range to `sink`. Throws what it throws, or `EngineError`.
  public func stream(to sink: Sink) async throws {
    do {
      try await deliver(to: sink)
    } catch {
      if error is EngineError { await doubtCache() }
      throw error
    }
  }

  private func deliver(to sink: Sink) async throws {
    guard !pieces.isEmpty else { return }
    let engine = engine
    let pieces = pieces
    let ahead = max(1, engine.configuration.readAhead)
    try await withThrowingTaskGroup(of: (Int, Content).self) { group in
      // What `prepare` has read is delivered while the next stripes are on their way.
      var arrived: [Int: Content] = [:]
      if let content = first.take() { arrived[0] = content }
      var started = arrived.count
      func start(_ buffer: StripeBuffer) {
        let index = started
        started += 1
        group.addTask(executorPreference: engine.pool) {
          (index, try await self.readAgainIfMoved(pieces[index], into: buffer))
        }
      }
      for next in pieces.indices {
        // Waits for the budget only while it holds nothing of it, and in the order of delivery:
        // else reads that hold what is not wanted yet could wait for each other for ever.
        if started == next { start(try await engine.buffers.stripe(pieces[next].byteCount)) }
        while started < pieces.count, started - next < ahead,
          let buffer = engine.buffers.extraStripe(pieces[started].byteCount)
        {
          start(buffer)
        }
        while arrived[next] == nil, let (index, content) = try await group.next() {
          arrived[index] = content
        }
        guard let content = arrived.removeValue(forKey: next) else { throw CancellationError() }
        try await sink(content.buffer.memory, content.range)
      }
    }
  }

  /// Bytes of a buffer that any stripe of the range fits into.
  var largestBuffer: Int { pieces.reduce(1) { max($0, $1.byteCount) } }

  /// Delivers the range to `sink`, one stripe after the other through one buffer. Instead of
  /// `prepare` and `stream`; called on an executor that may block.
  ///
  /// Precondition: `buffer` has at least `largestBuffer` bytes.
  func stream(through buffer: StripeBuffer, to sink: Sink) async throws {
    for piece in pieces {
      let content = try await readAgainIfMoved(piece, into: buffer)
      try await sink(content.buffer.memory, content.range)
    }
  }

  /// Reads a piece; one whose chunks are not where a cache said they were is read once more, from
  /// where the database says they are.
  private func readAgainIfMoved(
    _ piece: Piece, into buffer: StripeBuffer
  ) async throws -> Content {
    do {
      return try await Self.read(piece, into: buffer)
    } catch EngineError.unreadable(let available, let needed) {
      let id = piece.reader.extent.id
      guard let cachedVersion,
        let links = try? await engine.metadata.extents(of: cachedVersion, in: 0..<Int64.max),
        let link = links.first(where: { $0.extent.id == id }),
        link.extent.stores != piece.reader.extent.stores
      else { throw EngineError.unreadable(available: available, needed: needed) }
      await doubtCache()
      let reader = try ExtentReader(link.extent, engine: engine)
      defer { reader.close() }
      let moved = Piece(reader: reader, stripe: piece.stripe, range: piece.range)
      return try await Self.read(moved, into: buffer)
    }
  }

  private static func read(_ piece: Piece, into buffer: StripeBuffer) async throws -> Content {
    let range = try await piece.reader.read(
      stripe: piece.stripe, plaintext: piece.range, into: buffer.memory, layout: piece.layout)
    return Content(buffer: buffer, range: range)
  }

  private static func appendPieces(
    _ reader: ExtentReader, _ range: Range<Int>, to pieces: inout [Piece]
  ) {
    let perStripe = reader.geometry.scheme.data * 4 * SegmentLayout.plaintextByteCount
    var start = range.lowerBound
    while start < range.upperBound {
      let stripe = start / perStripe
      let end = min(range.upperBound, (stripe + 1) * perStripe)
      pieces.append(
        Piece(
          reader: reader, stripe: stripe,
          range: start - stripe * perStripe..<end - stripe * perStripe))
      start = end
    }
  }
}
