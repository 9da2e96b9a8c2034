/// The sizes of the segments of an extent (format 1): all are full but the last.
public enum SegmentLayout {
  /// Bytes of plaintext in a full segment.
  public static let plaintextByteCount = 65_520
  /// Bytes that a segment's tag adds.
  public static let tagByteCount = 16
  /// Bytes of a full segment as stored: 64 KiB.
  public static let storedByteCount = plaintextByteCount + tagByteCount
  /// The longest extent, in bytes of plaintext: 2⁴⁸.
  public static let maximumPlaintextByteCount = 1 << 48

  /// Segments of an extent of so much plaintext: at least one.
  ///
  /// Precondition: `plaintext` is from 0 to `maximumPlaintextByteCount`.
  public static func count(plaintext: Int) -> Int {
    precondition((0...maximumPlaintextByteCount).contains(plaintext), "an extent's length")
    return max(1, (plaintext + plaintextByteCount - 1) / plaintextByteCount)
  }

  /// Bytes that an extent of so much plaintext has as stored.
  ///
  /// Precondition: `plaintext` is from 0 to `maximumPlaintextByteCount`.
  public static func storedByteCount(plaintext: Int) -> Int {
    plaintext + count(plaintext: plaintext) * tagByteCount
  }

  /// Bytes of plaintext that an extent of so many stored bytes holds; nil when no extent has that
  /// length.
  public static func plaintextByteCount(stored: Int) -> Int? {
    guard stored >= tagByteCount,
      stored <= storedByteCount(plaintext: maximumPlaintextByteCount)
    else { return nil }
    let last = stored % storedByteCount
    // A segment with no plaintext is the only one of its extent.
    if last > 0 && last < tagByteCount || last == tagByteCount && stored > tagByteCount {
      return nil
    }
    let segments = (stored + storedByteCount - 1) / storedByteCount
    return stored - segments * tagByteCount
  }

  /// The segments that hold a range of plaintext.
  ///
  /// Precondition: the range is not empty and not negative.
  public static func segments(covering range: Range<Int>) -> Range<Int> {
    precondition(range.lowerBound >= 0 && !range.isEmpty, "a range of plaintext")
    return range.lowerBound / plaintextByteCount..<(range.upperBound - 1) / plaintextByteCount + 1
  }
}
