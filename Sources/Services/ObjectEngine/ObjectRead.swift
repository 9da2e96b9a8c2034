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
  }

  private struct Content: Sendable {
    let buffer: StripeBuffer
    let range: Range<Int>
  }

  private let engine: ObjectEngine
  private let readers: [ExtentReader]
  private let token: UInt64
  private var pieces: [Piece] = []
  private var first: Content?

  init(engine: ObjectEngine, links: [ExtentLink], range: Range<Int64>, token: UInt64) throws {
    self.engine = engine
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

  /// Reads the first stripe. Throws `EngineError` when the range cannot be read.
  public func prepare() async throws {
    guard let piece = pieces.first else { return }
    first = try await Self.read(piece, engine)
  }

  /// Delivers the range to `sink`. Throws what it throws, or `EngineError`.
  public func stream(to sink: Sink) async throws {
    if let content = first {
      try await sink(content.buffer.memory, content.range)
      first = nil
      pieces.removeFirst()
    }
    guard !pieces.isEmpty else { return }
    let engine = engine
    let pieces = pieces
    let ahead = max(1, engine.configuration.readAhead)
    try await withThrowingTaskGroup(of: (Int, Content).self) { group in
      var started = 0
      var arrived: [Int: Content] = [:]
      func start() {
        guard started < pieces.count else { return }
        let index = started
        started += 1
        group.addTask(executorPreference: engine.pool) {
          (index, try await Self.read(pieces[index], engine))
        }
      }
      start()
      for next in pieces.indices {
        while started < pieces.count, started - next < ahead, Self.mayReadAhead(engine) { start() }
        if started == next { start() }
        while arrived[next] == nil, let (index, content) = try await group.next() {
          arrived[index] = content
        }
        guard let content = arrived.removeValue(forKey: next) else { throw CancellationError() }
        try await sink(content.buffer.memory, content.range)
      }
    }
  }

  /// Reading ahead is for when memory is plenty; without it a read still goes on.
  private static func mayReadAhead(_ engine: ObjectEngine) -> Bool {
    engine.buffers.used < engine.buffers.limit / 2
  }

  private static func read(_ piece: Piece, _ engine: ObjectEngine) async throws -> Content {
    let layout = piece.reader.layout(stripe: piece.stripe)
    let buffer = try await engine.buffers.stripe(layout.byteCount)
    let range = try await withTaskExecutorPreference(engine.pool) {
      try await piece.reader.read(
        stripe: piece.stripe, plaintext: piece.range, into: buffer.memory, layout: layout)
    }
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
