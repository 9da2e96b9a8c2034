/// Reads forward through bytes that were received; past the end it sees zeros, which belong to no
/// character class, so that no loop over a class runs out of bounds.
struct ByteCursor {
  let bytes: [UInt8]
  var position: Int

  init(_ bytes: [UInt8], at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  @inline(__always)
  var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  /// Steps over the byte if it is the next one.
  @inline(__always)
  mutating func skip(_ byte: UInt8) -> Bool {
    guard current == byte else { return false }
    position += 1
    return true
  }

  /// Steps over exactly this text if it is next.
  mutating func skip(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard bytes.count - position >= count else { return false }
    let isNext = text.withUTF8Buffer { expected in
      for offset in 0..<count where unsafe bytes[position + offset] != expected[offset] {
        return false
      }
      return true
    }
    if isNext { position += count }
    return isNext
  }

  /// Steps over CR LF if they are next.
  @inline(__always)
  mutating func skipLineEnd() -> Bool {
    guard position + 1 < bytes.count, bytes[position] == 0x0d, bytes[position + 1] == 0x0a else {
      return false
    }
    position += 2
    return true
  }

  /// Steps over the longest run of a class and returns its range.
  @inline(__always)
  mutating func take(while isMember: (UInt8) -> Bool) -> Range<Int> {
    let start = position
    while isMember(current) { position += 1 }
    return start..<position
  }

  /// Whether the bytes of `range` are this lower-case text, whatever their letter case.
  @inline(__always)
  func matches(_ range: Range<Int>, _ text: StaticString) -> Bool {
    guard range.count == text.utf8CodeUnitCount, range.upperBound <= bytes.count else {
      return false
    }
    return text.withUTF8Buffer { expected in
      for offset in 0..<range.count
      where unsafe CharacterClass.lowercased(bytes[range.lowerBound + offset]) != expected[offset] {
        return false
      }
      return true
    }
  }

  /// Whether the comma-separated list of `range` has this lower-case element.
  func list(_ range: Range<Int>, contains text: StaticString) -> Bool {
    var start = range.lowerBound
    while start < range.upperBound {
      var end = start
      while end < range.upperBound && bytes[end] != 0x2c { end += 1 }
      if matches(trimmed(start..<end), text) { return true }
      start = end + 1
    }
    return false
  }

  /// The range without blanks at its ends. Precondition: it lies in the bytes.
  @inline(__always)
  func trimmed(_ range: Range<Int>) -> Range<Int> {
    var start = range.lowerBound
    var end = range.upperBound
    while start < end && CharacterClass.isBlank(bytes[start]) { start += 1 }
    while end > start && CharacterClass.isBlank(bytes[end - 1]) { end -= 1 }
    return start..<end
  }

  /// One field line (RFC 9112 §5) with its line end, from a name that must start here.
  @inline(__always)
  mutating func takeField() throws(HTTPRefusal) -> HTTPFields.Location {
    let name = take(while: CharacterClass.isToken)
    // Also a folded line and a blank before the colon end here.
    guard !name.isEmpty, skip(0x3a) else { throw HTTPRefusal(400, "malformed field name") }
    let value = trimmed(take(while: CharacterClass.isFieldValue))
    guard skipLineEnd() else { throw HTTPRefusal(400, "malformed field value") }
    return HTTPFields.Location(
      nameStart: UInt32(truncatingIfNeeded: name.lowerBound),
      nameEnd: UInt32(truncatingIfNeeded: name.upperBound),
      valueStart: UInt32(truncatingIfNeeded: value.lowerBound),
      valueEnd: UInt32(truncatingIfNeeded: value.upperBound))
  }
}
