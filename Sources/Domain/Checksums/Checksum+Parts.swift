import Crypto
import ISAL

/// Why the checksums of parts make none of the whole.
public enum ChecksumError: Error, Hashable, Sendable {
  /// There are no parts, or more than 10,000.
  case partCount(Int)
  /// A part has a checksum of another algorithm, or a composite one.
  case mismatchedPart(Int)
  /// The algorithm cannot be combined: SHA-1 and SHA-256 of a whole need its bytes.
  case notCombinable(ChecksumAlgorithm)
}

extension Checksum {
  /// One part of an object: its checksum and its length in bytes.
  public struct Part: Hashable, Sendable {
    /// The checksum of all bytes of the part.
    public var checksum: Checksum
    /// The number of its bytes, not negative.
    public var byteCount: Int

    /// Makes a part. Precondition: `byteCount` is not negative.
    public init(_ checksum: Checksum, byteCount: Int) {
      precondition(byteCount >= 0, "a length is not negative")
      self.checksum = checksum
      self.byteCount = byteCount
    }
  }

  /// The checksum of all parts joined, made of theirs without reading the bytes again.
  ///
  /// Throws for an algorithm without that property, for none or too many parts, and for a part with
  /// another kind of checksum.
  public static func fullObject(
    _ algorithm: ChecksumAlgorithm, of parts: [Part]
  ) throws(ChecksumError) -> Checksum {
    try check(algorithm, parts.map(\.checksum))
    switch algorithm {
    case .crc32:
      return Checksum(algorithm, combine(parts, CRC32.combine))
    case .crc32c:
      return Checksum(algorithm, combine(parts, CRC32C.combine))
    case .crc64nvme:
      return Checksum(algorithm, combine(parts, CRC64NVME.combine))
    case .sha1, .sha256:
      throw .notCombinable(algorithm)
    }
  }

  /// The checksum of the parts' checksums joined.
  ///
  /// Throws for none or too many parts, and for a part with another kind of checksum.
  public static func composite(
    _ algorithm: ChecksumAlgorithm, of parts: [Checksum]
  ) throws(ChecksumError) -> Checksum {
    try check(algorithm, parts)
    let hasher = ChecksumHasher(algorithm)
    for part in parts { hasher.update(part.bytes) }
    return Checksum(algorithm, hasher.finish().bytes, partCount: parts.count)
  }

  private static func check(
    _ algorithm: ChecksumAlgorithm, _ parts: [Checksum]
  ) throws(ChecksumError) {
    guard (1...maximumPartCount).contains(parts.count) else { throw .partCount(parts.count) }
    for (index, part) in parts.enumerated()
    where part.algorithm != algorithm || part.type != .fullObject {
      throw .mismatchedPart(index)
    }
  }

  private static func combine<Word: FixedWidthInteger>(
    _ parts: [Part], _ operation: (Word, Word, Int) -> Word
  ) -> [UInt8] {
    var result: Word = 0
    for part in parts {
      let value = part.checksum.bytes.reduce(Word(0)) { $0 << 8 | Word($1) }
      result = operation(result, value, part.byteCount)
    }
    return BigEndian.bytes(result)
  }
}

enum BigEndian {
  static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
    stride(from: value.bitWidth - 8, through: 0, by: -8).map {
      UInt8(truncatingIfNeeded: value >> $0)
    }
  }
}
