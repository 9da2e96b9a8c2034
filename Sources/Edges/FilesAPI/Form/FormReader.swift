import Base
import Runtime

/// Reads a `multipart/form-data` body (RFC 7578, RFC 2046 §5.1) part by part, holding no more of
/// it than one window.
///
/// Strict where leniency would let two readers disagree: no preamble, no folded lines, nothing but
/// a line end or `--` behind a boundary. Used by one task.
final class FormReader {
  /// Puts 1 to `count` bytes into the buffer from the offset on; 0 at the end of the body.
  typealias Input = (_ buffer: AlignedBuffer, _ offset: Int, _ count: Int) async throws -> Int

  private enum State {
    case beforeFirstPart, atContentStart, inContent, betweenParts, ended
  }

  /// Blanks behind a boundary, and bytes behind the last one, that are tolerated.
  private static let maximumPadding = 64
  private static let maximumEpilogue = 1024

  private let boundary: FormBoundary
  private let input: Input
  private let window: AlignedBuffer
  private var start = 0
  private var end = 0
  private var isAtEnd = false
  private var state = State.beforeFirstPart

  /// Reads what `input` gives through a window of at least `windowBytes`, which is never less than
  /// a part's head.
  init(boundary: FormBoundary, windowBytes: Int = 64 << 10, input: @escaping Input) {
    self.boundary = boundary
    self.input = input
    window = AlignedBuffer(count: max(windowBytes, 2 * FormPart.maximumHeadBytes))
  }

  /// The next part's head; nil behind the last part, when the body has ended as it must.
  ///
  /// Precondition: the part before it was read to its end. Throws `FormError` and what the input
  /// throws.
  func nextPart() async throws -> FormPart? {
    switch state {
    case .beforeFirstPart: try await readOpening()
    case .betweenParts: break
    case .ended: return nil
    case .atContentStart, .inContent: preconditionFailure("a part was not read to its end")
    }
    try await ensure(2)
    if byte(0) == UInt8(ascii: "-"), byte(1) == UInt8(ascii: "-") {
      start += 2
      try await readEpilogue()
      state = .ended
      return nil
    }
    try await skipPadding()
    try await ensure(2)
    guard byte(0) == 0x0d, byte(1) == 0x0a else {
      throw FormError("a boundary is not followed by a line end")
    }
    start += 2
    let part = try FormPart(head: try await readHead()[...])
    state = .atContentStart
    return part
  }

  /// The next bytes of the current part's content: puts 1 to `count` into `buffer` from `offset`
  /// on; 0 at the part's end. Throws `FormError` and what the input throws.
  func readContent(into buffer: AlignedBuffer, at offset: Int, count: Int) async throws -> Int {
    if state == .atContentStart {
      // The line end before a boundary may be the one that ended an empty part's head.
      if try await begins(with: boundary.opening) {
        start += boundary.opening.count
        state = .betweenParts
        return 0
      }
      state = .inContent
    }
    guard state == .inContent else { return 0 }
    while true {
      let found = firstDelimiter()
      if found == 0 {
        start += boundary.delimiter.count
        state = .betweenParts
        return 0
      }
      // Without a delimiter all but its possible beginning is content.
      let available = found ?? (end - start - boundary.delimiter.count + 1)
      if available > 0 {
        let taken = min(available, count)
        buffer.copy(from: window, start..<start + taken, at: offset)
        start += taken
        return taken
      }
      guard try await refill() else { throw Self.endedEarly }
    }
  }

  static let endedEarly = FormError("the form ended before its last boundary")

  private func readOpening() async throws {
    if try await begins(with: [0x0d, 0x0a]) { start += 2 }
    guard try await begins(with: boundary.opening) else {
      throw FormError("the form does not begin with its boundary")
    }
    start += boundary.opening.count
  }

  private func readHead() async throws -> [UInt8] {
    var searched = 0
    while true {
      if let head = takeHead(searched: &searched) { return head }
      guard end - start < FormPart.maximumHeadBytes else {
        throw FormError("the head of a part is too long")
      }
      guard try await refill() else { throw Self.endedEarly }
    }
  }

  /// The head of a part, once its empty line is in the window; `searched` bytes were looked at.
  private func takeHead(searched: inout Int) -> [UInt8]? {
    let limit = min(end - start, FormPart.maximumHeadBytes)
    while searched + 4 <= limit {
      if byte(searched) == 0x0d, byte(searched + 1) == 0x0a, byte(searched + 2) == 0x0d,
        byte(searched + 3) == 0x0a
      {
        let head = window.bytes(start..<start + searched + 2)
        start += searched + 4
        return head
      }
      searched += 1
    }
    return nil
  }

  private func skipPadding() async throws {
    var skipped = 0
    while true {
      try await ensure(1)
      guard byte(0) == 0x20 || byte(0) == 0x09 else { return }
      start += 1
      skipped += 1
      guard skipped <= Self.maximumPadding else {
        throw FormError("a boundary is not followed by a line end")
      }
    }
  }

  private func readEpilogue() async throws {
    var isFirst = true
    var total = 0
    while true {
      if start == end {
        guard try await refill() else { return }
      }
      if isFirst {
        guard byte(0) == 0x0d || byte(0) == 0x20 || byte(0) == 0x09 else {
          throw FormError("the last boundary is not followed by a line end")
        }
        isFirst = false
      }
      total += end - start
      start = end
      guard total <= Self.maximumEpilogue else {
        throw FormError("too much follows the last boundary")
      }
    }
  }

  // MARK: The window

  /// The byte so far behind the start. Precondition: it is in the window.
  private func byte(_ offset: Int) -> UInt8 {
    precondition(start + offset < end, "outside the window")
    return unsafe window.withBytes(start + offset..<start + offset + 1) { unsafe $0[0] }
  }

  private func firstDelimiter() -> Int? {
    unsafe window.withBytes(start..<end) { bytes in
      boundary.firstDelimiter(in: unsafe bytes.bindMemory(to: UInt8.self).span)
    }
  }

  /// Whether the body goes on with these bytes, which are fewer than a window holds.
  private func begins(with expected: [UInt8]) async throws -> Bool {
    var matched = 0
    while matched < expected.count {
      if start + matched == end {
        guard try await refill() else { return false }
      }
      guard byte(matched) == expected[matched] else { return false }
      matched += 1
    }
    return true
  }

  private func ensure(_ count: Int) async throws {
    while end - start < count {
      guard try await refill() else { throw Self.endedEarly }
    }
  }

  /// Receives more; false at the end of the body.
  private func refill() async throws -> Bool {
    if isAtEnd { return false }
    if start == end {
      start = 0
      end = 0
    } else if end == window.count {
      window.move(start..<end, to: 0)
      end -= start
      start = 0
    }
    let received = try await input(window, end, window.count - end)
    if received == 0 { isAtEnd = true }
    end += received
    return received > 0
  }
}
