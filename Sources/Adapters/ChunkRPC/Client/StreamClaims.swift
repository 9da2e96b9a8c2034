internal import Base

/// Which parts of a stream somebody reads.
///
/// Reads are begun side by side and so come in any order: one may claim a part a little behind
/// another that was not claimed yet. What lies between is a gap until it is.
struct StreamClaims {
  /// Bytes that gaps may have together: what reads that are begun side by side cover.
  static let largestGap = ByteCount.mebibyte

  /// Where the last claim ends.
  private(set) var end: Int
  private let limit: Int
  private var gaps: [Range<Int>] = []
  /// Parts that were claimed and are not read yet.
  private(set) var pending = 0

  /// Nobody reads any of `range`.
  init(_ range: Range<Int>) {
    end = range.lowerBound
    limit = range.upperBound
  }

  /// Whether all was claimed.
  var isComplete: Bool { isAtEnd && gaps.isEmpty }

  /// Whether the end was claimed; gaps may be left.
  var isAtEnd: Bool { end == limit }

  /// Claims a part; false when it is not one for this stream.
  mutating func claim(_ part: Range<Int>) -> Bool {
    guard !part.isEmpty else { return false }
    if part.lowerBound >= end {
      let gap = end..<part.lowerBound
      guard part.upperBound <= limit,
        gaps.reduce(gap.count, { $0 + $1.count }) <= Self.largestGap
      else { return false }
      if !gap.isEmpty { gaps.append(gap) }
      end = part.upperBound
    } else {
      guard
        let index = gaps.firstIndex(where: {
          $0.lowerBound <= part.lowerBound && part.upperBound <= $0.upperBound
        })
      else { return false }
      let gap = gaps.remove(at: index)
      let rest = [gap.lowerBound..<part.lowerBound, part.upperBound..<gap.upperBound]
      gaps.insert(contentsOf: rest.filter { !$0.isEmpty }, at: index)
    }
    pending += 1
    return true
  }

  /// A part that was claimed has been read. Precondition: there is one.
  mutating func wasRead() {
    precondition(pending > 0, "what is read was claimed")
    pending -= 1
  }
}
