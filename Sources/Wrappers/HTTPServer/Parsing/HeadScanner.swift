/// Finds the end of a request head as bytes arrive, looking at each byte once.
///
/// Line ends are checked here: a CR without LF, a LF without CR and a NUL are refused as soon as
/// they are seen, so that no later stage meets them and no client can wait behind them. What is
/// refused depends on the bytes only, not on how they were split.
struct HeadScanner {
  enum Result: Equatable {
    case incomplete
    /// The head is the bytes of this range, its empty line included.
    case complete(Range<Int>)
    case refused(HTTPRefusal)
  }

  /// The largest head taken, its empty line included, in bytes.
  let limit: Int
  // The first byte not looked at, and the starts of the current line and of the head.
  private var position = 0
  private var lineStart = 0
  private var headStart = 0

  init(limit: Int) {
    self.limit = limit
  }

  /// Goes on with all bytes received so far, the ones of earlier calls included.
  mutating func scan(_ bytes: Span<UInt8>) -> Result {
    let end = min(bytes.count, limit)
    scan: while position < end {
      let byte = bytes[position]
      if byte > 0x0d {
        position += 1
        continue
      }
      switch byte {
      case 0x0d:
        // Its LF would be beyond the limit.
        if position + 1 == limit { break scan }
        guard position + 1 < bytes.count else { return .incomplete }
        guard bytes[position + 1] == 0x0a else { return .refused(HTTPRefusal(400, "bare CR")) }
        position += 2
        if let result = lineEnded() { return result }
        lineStart = position
      case 0x0a: return .refused(HTTPRefusal(400, "bare LF"))
      case 0: return .refused(HTTPRefusal(400, "NUL in the head"))
      default: position += 1
      }
    }
    guard bytes.count >= limit else { return .incomplete }
    return .refused(
      lineStart == headStart
        ? HTTPRefusal(414, "target too long") : HTTPRefusal(431, "header section too large"))
  }

  private mutating func lineEnded() -> Result? {
    guard position - lineStart == 2 else { return nil }
    if lineStart > headStart { return .complete(headStart..<position) }
    // One empty line before the request line is skipped (RFC 9112 §2.2), not any number.
    guard headStart == 0 else { return .refused(HTTPRefusal(400, "empty request line")) }
    headStart = position
    return nil
  }
}
