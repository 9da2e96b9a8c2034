/// Received bytes that nobody has taken yet. It holds memory only while it holds bytes or is
/// about to.
struct Window {
  private(set) var storage: [UInt8] = []
  private(set) var start = 0
  private(set) var end = 0

  var count: Int { end - start }
  var isEmpty: Bool { start == end }
  var room: Int { storage.count - end }
  var capacity: Int { storage.count }

  /// Lets the scanner look at all bytes.
  func scan(with scanner: inout HeadScanner) -> HeadScanner.Result {
    scanner.scan(storage.span.extracting(start..<end))
  }

  /// Lets the decoder work through framing at the front, and drops what it used.
  mutating func advance(
    _ decoder: inout ChunkedDecoder
  ) throws(HTTPRefusal) -> ChunkedDecoder.Step {
    var position = 0
    let step = try decoder.advance(storage.span.extracting(start..<end), &position)
    drop(position)
    return step
  }

  /// A copy of the bytes of a range counted from the oldest. Precondition: it lies in the window.
  func copy(_ range: Range<Int>) -> [UInt8] {
    Array(storage[start + range.lowerBound..<start + range.upperBound])
  }

  /// Drops bytes from the front. Precondition: at most `count`.
  mutating func drop(_ count: Int) {
    start += count
    if start == end {
      start = 0
      end = 0
    }
  }

  /// Gets memory of one of the pool's sizes if it has less, and moves the bytes to its front.
  mutating func reserve(large: Bool, from pool: inout WindowPool) {
    let wanted = large ? pool.large : WindowPool.small
    if storage.count < wanted {
      var new = pool.take(large: large)
      let count = self.count
      if count > 0 { new.replaceSubrange(0..<count, with: storage[start..<end]) }
      let old = storage
      storage = new
      (start, end) = (0, count)
      if !old.isEmpty { pool.give(old) }
    } else if start > 0 {
      let count = self.count
      unsafe storage.withUnsafeMutableBytes { bytes in
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      }
      (start, end) = (0, count)
    }
  }

  /// Gives the memory back. Precondition: it is empty or no longer wanted.
  mutating func release(to pool: inout WindowPool) {
    if storage.isEmpty { return }
    let old = storage
    storage = []
    (start, end) = (0, 0)
    pool.give(old)
  }

  /// Lends the free room; what `body` reports as moved is appended.
  mutating func fill(
    _ body: (UnsafeMutableRawBufferPointer) -> TransferAttempt
  ) -> TransferAttempt {
    let end = self.end
    let attempt = unsafe storage.withUnsafeMutableBytes { bytes in
      unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[end...]))
    }
    if case .moved(let count) = attempt { self.end += count }
    return attempt
  }

  /// Notes that `count` bytes were written into the room by other means.
  mutating func append(count: Int) { end += count }

  /// Lends the free room without noting anything.
  mutating func withRoom<R>(_ body: (UnsafeMutableRawBufferPointer) -> R) -> R {
    let end = self.end
    return unsafe storage.withUnsafeMutableBytes { bytes in
      unsafe body(UnsafeMutableRawBufferPointer(rebasing: bytes[end...]))
    }
  }

  /// Copies the first bytes of the window to `target` and drops them; returns how many.
  mutating func take(into target: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(self.count, target.count)
    let start = self.start
    unsafe storage.withUnsafeBytes { bytes in
      unsafe target.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
    }
    drop(count)
    return count
  }
}
