import Base
import Testing

@testable import HTTPServer

/// Takes a byte stream apart with the parser's own pieces, as a connection does, and writes down
/// what it found.
struct RequestStream {
  private(set) var log: [String] = []
  private var window = Window()
  private var pool = WindowPool(headLimit: 8 << 10)
  private var scanner = HeadScanner(limit: 8 << 10)
  private var framing = BodyFraming.none
  private var decoder = ChunkedDecoder()
  private var body: [UInt8] = []
  private var isInBody = false
  private var isOver = false

  /// The log of a stream that arrives in these pieces.
  static func log(_ pieces: [ArraySlice<UInt8>]) -> [String] {
    var stream = RequestStream()
    for piece in pieces where !stream.isOver { stream.receive(piece) }
    return stream.log + (stream.isOver ? [] : ["open \(stream.isInBody) \(stream.window.count)"])
  }

  private mutating func receive(_ piece: ArraySlice<UInt8>) {
    var rest = piece
    while !rest.isEmpty && !isOver {
      window.reserve(large: window.count >= WindowPool.small, from: &pool)
      let count = min(rest.count, window.room)
      _ = window.fill { room in
        room.copyBytes(from: rest.prefix(count))
        return .moved(count)
      }
      rest = rest.dropFirst(count)
      do {
        while try step() {}
      } catch {
        log.append("refused \(error.status) \(error.reason)")
        isOver = true
      }
    }
  }

  private mutating func step() throws(HTTPRefusal) -> Bool {
    isInBody ? try stepBody() : try stepHead()
  }

  private mutating func stepHead() throws(HTTPRefusal) -> Bool {
    switch window.scan(with: &scanner) {
    case .incomplete: return false
    case .refused(let refusal): throw refusal
    case .complete(let range):
      let bytes = window.copy(range)
      window.drop(range.upperBound)
      let parsed = try RequestHeadParser.parse(bytes, maximumFields: 16)
      var line = "\(parsed.head.method) \(Array(parsed.head.target)) \(parsed.keepsAlive)"
      line += " \(parsed.framing) \(parsed.expectsContinue)"
      for field in parsed.head.fields { line += " \(Array(field.name)):\(Array(field.value))" }
      log.append(line)
      framing = parsed.framing
      decoder = ChunkedDecoder()
      body = []
      isInBody = true
      return true
    }
  }

  private mutating func stepBody() throws(HTTPRefusal) -> Bool {
    switch framing {
    case .none:
      log.append("body \(Hex.encode(body)) \(decoder.trailers.map { Array($0.value) })")
      isInBody = false
      scanner = HeadScanner(limit: 8 << 10)
      return !window.isEmpty
    case .length(let left):
      let count = take(left)
      framing = count < left ? .length(left - count) : .none
      return count > 0
    case .chunked:
      if decoder.remainingInChunk > 0 {
        let count = take(decoder.remainingInChunk)
        decoder.consumeData(count)
        return count > 0
      }
      switch try window.advance(&decoder) {
      case .end: framing = .none
      case .data: return !window.isEmpty
      case .needsMore: return false
      }
      return true
    }
  }

  private mutating func take(_ limit: Int) -> Int {
    let count = min(limit, window.count)
    body += window.copy(0..<count)
    window.drop(count)
    return count
  }
}
