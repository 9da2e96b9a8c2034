public import Base

/// Where the bytes of an extent lie: plaintext in segments, segments in stripes, stripes in blocks.
///
/// Format 1. A segment is 65,520 bytes of plaintext, and 65,536 with its tag; the stored bytes of
/// all segments follow one another and are cut into stripes of k blocks of 256 KiB. The last stripe
/// may be shorter: its R bytes make k blocks of ⌈R / k⌉ bytes, rounded up to 64 and filled with
/// zeros. All numbers are offsets and lengths in bytes.
public struct ExtentGeometry: Hashable, Sendable {
  /// Plaintext bytes of a full segment.
  public static let segmentPlaintextLength = 65_520
  /// Stored bytes of a full segment.
  public static let segmentStoredLength = 65_536
  /// Bytes that encryption adds to a segment.
  public static let segmentOverhead = segmentStoredLength - segmentPlaintextLength
  /// Bytes of a block of a full stripe.
  public static let fullBlockLength = 262_144
  /// What the length of every block is a multiple of.
  public static let blockAlignment = 64
  /// The longest plaintext: 5 TiB.
  public static let maximumPlaintextLength = 5 * ByteCount.tebibyte

  /// The blocks of a stripe.
  public let scheme: ErasureScheme
  /// Bytes of plaintext.
  public let plaintextLength: Int

  /// Takes a plaintext of 0 bytes to 5 TiB; throws for any other length.
  public init(scheme: ErasureScheme, plaintextLength: Int) throws(FormatError) {
    guard (0...Self.maximumPlaintextLength).contains(plaintextLength) else {
      throw FormatError("an extent of \(plaintextLength) bytes")
    }
    self.scheme = scheme
    self.plaintextLength = plaintextLength
  }

  /// Segments of the extent: at least one, which may be empty.
  public var segmentCount: Int {
    max(1, Self.quotientRoundedUp(plaintextLength, Self.segmentPlaintextLength))
  }

  /// Bytes of all segments with their tags.
  public var storedLength: Int { plaintextLength + segmentCount * Self.segmentOverhead }

  /// Stored bytes of a full stripe.
  public var fullStripeLength: Int { scheme.data * Self.fullBlockLength }

  /// Stripes with blocks of 256 KiB.
  public var fullStripeCount: Int { storedLength / fullStripeLength }

  /// Bytes of a block of the last, shorter stripe; 0 when every stripe is full.
  public var shortBlockLength: Int {
    let rest = storedLength % fullStripeLength
    return ByteCount.roundUp(
      Self.quotientRoundedUp(rest, scheme.data), to: Self.blockAlignment)
  }

  /// Stripes of the extent, at least one.
  public var stripeCount: Int { fullStripeCount + (shortBlockLength > 0 ? 1 : 0) }

  /// Bytes of data of each of the chunks.
  public var chunkDataLength: Int { fullStripeCount * Self.fullBlockLength + shortBlockLength }

  /// The stored bytes of one segment.
  ///
  /// Precondition: `segment` is one of the extent's.
  public func storedRange(ofSegment segment: Int) -> Range<Int> {
    precondition((0..<segmentCount).contains(segment), "segment outside the extent")
    let start = segment * Self.segmentStoredLength
    return start..<min(start + Self.segmentStoredLength, storedLength)
  }

  /// The plaintext bytes of one segment.
  ///
  /// Precondition: `segment` is one of the extent's.
  public func plaintextRange(ofSegment segment: Int) -> Range<Int> {
    precondition((0..<segmentCount).contains(segment), "segment outside the extent")
    let start = segment * Self.segmentPlaintextLength
    return start..<min(start + Self.segmentPlaintextLength, plaintextLength)
  }

  /// The segments that hold a range of the plaintext; none for an empty range.
  ///
  /// Precondition: `range` lies in the plaintext.
  public func segments(ofPlaintext range: Range<Int>) -> Range<Int> {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= plaintextLength, "range outside the plaintext")
    let first = range.lowerBound / Self.segmentPlaintextLength
    guard !range.isEmpty else { return first..<first }
    return first..<(range.upperBound - 1) / Self.segmentPlaintextLength + 1
  }

  /// The stored bytes of a run of segments.
  ///
  /// Precondition: they are the extent's.
  public func storedRange(ofSegments segments: Range<Int>) -> Range<Int> {
    precondition(
      segments.lowerBound >= 0 && segments.upperBound <= segmentCount,
      "segments outside the extent")
    return min(
      segments.lowerBound * Self.segmentStoredLength, storedLength)..<min(
        segments.upperBound * Self.segmentStoredLength, storedLength)
  }

  static func quotientRoundedUp(_ value: Int, _ divisor: Int) -> Int {
    value / divisor + (value % divisor > 0 ? 1 : 0)
  }
}
