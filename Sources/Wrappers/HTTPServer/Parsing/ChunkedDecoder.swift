/// Decodes the chunked coding (RFC 9112 §7.1) from bytes that arrive in any pieces.
///
/// It keeps no bytes but those of the trailer section, so how the stream was split cannot change
/// what it says. Data runs are reported by range or, where the bytes go straight to their reader,
/// by `remainingInChunk` and `consumeData`.
struct ChunkedDecoder {
  enum Step: Equatable {
    /// All bytes were used; more are needed.
    case needsMore
    /// The next `remainingInChunk` bytes are data, to be taken and noted by `consumeData`.
    case data
    /// The body and its trailers are complete; `position` is behind them.
    case end
  }

  private enum State {
    case size(value: Int, digits: Int)
    case sizeExtension(blanksOnly: Bool)
    case sizeLineFeed
    case data(Int)
    case dataCarriageReturn
    case dataLineFeed
    case trailer
    case ended
  }

  /// The longest chunk-size line taken, in bytes.
  static let maximumSizeLine = 4096
  /// The largest trailer section taken, in bytes.
  static let maximumTrailers = 16 << 10
  /// The most trailer fields taken.
  static let maximumTrailerFields = 64
  /// Fifteen hexadecimal digits always fit an Int.
  static let maximumSizeDigits = 15
  /// Framing that is this much more than the data it carries is an attack on the processor.
  static let maximumOverhead = 16 << 10

  /// The fields after the last chunk, complete once `.end` was reported.
  private(set) var trailers = HTTPFields()
  private var state = State.size(value: 0, digits: 0)
  private var lineLength = 0
  private var size = 0
  private var overhead = 0
  private var trailerBytes: [UInt8] = []
  private var trailerLineStart = 0

  /// Data bytes of the current chunk that are still to come; 0 outside a chunk's data.
  var remainingInChunk: Int {
    if case .data(let left) = state { return left }
    return 0
  }

  /// Notes that `count` data bytes were taken elsewhere. Precondition: at most `remainingInChunk`.
  mutating func consumeData(_ count: Int) {
    guard case .data(let left) = state else { return }
    state = count < left ? .data(left - count) : .dataCarriageReturn
  }

  /// Works through the framing in `bytes` from `position` on, which it moves, up to the next data
  /// or the end.
  mutating func advance(
    _ bytes: Span<UInt8>, _ position: inout Int
  ) throws(HTTPRefusal) -> Step {
    while position < bytes.count {
      switch state {
      case .data: return .data
      case .trailer:
        position += 1
        if try takeTrailer(bytes[position - 1]) {
          state = .ended
          return .end
        }
      case .ended: return .end
      default:
        position += 1
        try takeFraming(bytes[position - 1])
      }
    }
    switch state {
    case .ended: return .end
    case .data: return .data
    default: return .needsMore
    }
  }

  private mutating func takeFraming(_ byte: UInt8) throws(HTTPRefusal) {
    lineLength += 1
    guard lineLength <= Self.maximumSizeLine else { throw HTTPRefusal(400, "chunk line too long") }
    switch state {
    case .size(let value, let digits):
      if let digit = CharacterClass.hexDigit(byte) {
        guard digits < Self.maximumSizeDigits else { throw HTTPRefusal(400, "chunk too large") }
        state = .size(value: value << 4 | Int(digit), digits: digits + 1)
        return
      }
      guard digits > 0 else { throw HTTPRefusal(400, "malformed chunk size") }
      size = value
      try takeSizeEnd(byte, blanksOnly: true)
    case .sizeExtension(let blanksOnly): try takeSizeEnd(byte, blanksOnly: blanksOnly)
    case .sizeLineFeed:
      guard byte == 0x0a else { throw HTTPRefusal(400, "malformed chunk size") }
      try beginChunk()
    case .dataCarriageReturn:
      guard byte == 0x0d else { throw HTTPRefusal(400, "chunk data not ended by CR LF") }
      state = .dataLineFeed
    case .dataLineFeed:
      guard byte == 0x0a else { throw HTTPRefusal(400, "chunk data not ended by CR LF") }
      state = .size(value: 0, digits: 0)
      lineLength = 0
    case .data, .trailer, .ended: break
    }
  }

  /// After the digits: blanks, then nothing or an extension, which is checked and ignored.
  private mutating func takeSizeEnd(_ byte: UInt8, blanksOnly: Bool) throws(HTTPRefusal) {
    if byte == 0x0d {
      state = .sizeLineFeed
    } else if blanksOnly {
      guard CharacterClass.isBlank(byte) || byte == 0x3b else {
        throw HTTPRefusal(400, "malformed chunk size")
      }
      state = .sizeExtension(blanksOnly: byte != 0x3b)
    } else {
      guard CharacterClass.isFieldValue(byte) else {
        throw HTTPRefusal(400, "malformed chunk extension")
      }
    }
  }

  private mutating func beginChunk() throws(HTTPRefusal) {
    // Each chunk pays for its own framing out of its data; long extensions of tiny chunks add up.
    let allowance = size < 1 << 20 ? 16 + size * 2 : Self.maximumOverhead * 2
    overhead = max(0, overhead + lineLength - allowance)
    guard overhead <= Self.maximumOverhead else { throw HTTPRefusal(400, "too much chunk framing") }
    lineLength = 0
    state = size == 0 ? .trailer : .data(size)
  }

  /// Takes one byte of the trailer section; true when its empty line is complete.
  private mutating func takeTrailer(_ byte: UInt8) throws(HTTPRefusal) -> Bool {
    guard trailerBytes.count < Self.maximumTrailers else {
      throw HTTPRefusal(400, "trailers too large")
    }
    let followsReturn = trailerBytes.last == 0x0d && trailerBytes.count > trailerLineStart
    guard (byte == 0x0a) == followsReturn else { throw HTTPRefusal(400, "malformed trailer") }
    trailerBytes.append(byte)
    guard byte == 0x0a else { return false }
    let isEmptyLine = trailerBytes.count - trailerLineStart == 2
    trailerLineStart = trailerBytes.count
    if isEmptyLine { try parseTrailers() }
    return isEmptyLine
  }

  private mutating func parseTrailers() throws(HTTPRefusal) {
    var cursor = ByteCursor(trailerBytes)
    var locations: [HTTPFields.Location] = []
    while cursor.current != 0x0d {
      guard locations.count < Self.maximumTrailerFields else {
        throw HTTPRefusal(400, "too many trailers")
      }
      locations.append(try cursor.takeField())
    }
    trailers = HTTPFields(bytes: trailerBytes, locations: locations)
  }
}
