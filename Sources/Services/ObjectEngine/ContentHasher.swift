import Base
public import Checksums
import Crypto
import Runtime

/// What was computed over the content of an object while it passed.
public struct ContentDigests: Sendable {
  /// Plaintext bytes.
  public var size: Int64
  /// The MD5, 16 bytes: the ETag of an object of one part.
  public var md5: [UInt8]
  /// The checksums that were asked for, in that order.
  public var checksums: [Checksum]

  /// The checksum of one algorithm, if it was asked for.
  public func checksum(_ algorithm: ChecksumAlgorithm) -> Checksum? {
    checksums.first { $0.algorithm == algorithm }
  }
}

/// Computes the digests of one object's content. Used by one task at a time.
final class ContentHasher: @unchecked Sendable {
  // `Sendable` because it is handed from task to task with the stripes; never used by two at once.
  private let md5 = Digest(.md5)
  private let hashers: [ChecksumHasher]
  private var size: Int64 = 0

  init(algorithms: [ChecksumAlgorithm]) {
    hashers = algorithms.map { ChecksumHasher($0) }
  }

  func update(_ buffer: AlignedBuffer, _ range: Range<Int>) {
    // In runs that stay in the second-level cache from one algorithm to the next.
    var start = range.lowerBound
    while start < range.upperBound {
      let end = min(start + 128 << 10, range.upperBound)
      unsafe buffer.withBytes(start..<end) { bytes in
        unsafe md5.update(bytes)
        for hasher in hashers { unsafe hasher.update(bytes) }
      }
      start = end
    }
    size += Int64(range.count)
  }

  func finish() -> ContentDigests {
    ContentDigests(size: size, md5: md5.finish(), checksums: hashers.map { $0.finish() })
  }
}
