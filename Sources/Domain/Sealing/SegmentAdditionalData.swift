import Base

/// What binds a segment to its place: extent id (16 bytes), index (8, little-endian), last flag.
struct SegmentAdditionalData {
  private var storage: [25 of UInt8] = .init(repeating: 0)

  init(_ extent: ExtentID) {
    for (index, byte) in extent.bytes.enumerated() { storage[index] = byte }
  }

  /// The same for one segment of the extent.
  func at(_ index: UInt64, isLast: Bool) -> SegmentAdditionalData {
    var result = self
    for position in 0..<8 {
      result.storage[16 + position] = UInt8(truncatingIfNeeded: index >> UInt64(8 * position))
    }
    result.storage[24] = isLast ? 1 : 0
    return result
  }

  /// Lends the 25 bytes.
  func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try unsafe withUnsafeBytes(of: storage, body)
  }
}
