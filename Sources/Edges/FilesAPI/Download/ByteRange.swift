/// A single byte range of a Range header (RFC 9110 §14.1.2).
enum ByteRange: Hashable, Sendable {
  case bounded(first: Int64, last: Int64)
  case from(Int64)
  case suffix(Int64)

  /// Reads the header; nil for what is to be ignored: another unit, more than one range, or a
  /// text that the grammar does not allow.
  init?(_ text: ArraySlice<UInt8>) {
    guard text.count <= 128, text.starts(with: "bytes=".utf8) else { return nil }
    let specification = text.dropFirst(6)
    let pieces = specification.split(
      separator: UInt8(ascii: "-"), maxSplits: 2, omittingEmptySubsequences: false)
    guard pieces.count == 2 else { return nil }
    switch (Self.number(pieces[0]), Self.number(pieces[1])) {
    case (let first?, let last?):
      guard first <= last else { return nil }
      self = .bounded(first: first, last: last)
    case (let first?, nil) where pieces[1].isEmpty: self = .from(first)
    case (nil, let count?) where pieces[0].isEmpty: self = .suffix(count)
    default: return nil
    }
  }

  /// The bytes of a content of `size` bytes, never empty; nil when it has none of them.
  func resolve(size: Int64) -> Range<Int64>? {
    switch self {
    case .bounded(let first, let last) where first < size: first..<min(last, size - 1) + 1
    case .from(let first) where first < size: first..<size
    case .suffix(let count) where count > 0 && size > 0: max(0, size - count)..<size
    case .bounded, .from, .suffix: nil
    }
  }

  /// A decimal number; one too large for 64 bits is the largest.
  private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int64(String(decoding: digits, as: UTF8.self)) ?? .max
  }
}
