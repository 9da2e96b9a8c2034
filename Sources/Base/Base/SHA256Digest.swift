/// The 32 bytes of a SHA-256, stored without allocation.
public struct SHA256Digest: Hashable, Sendable, CustomStringConvertible {
  /// The number of bytes of a digest.
  public static let byteCount = 32

  @usableFromInline let words: [4 of UInt64]

  /// Takes exactly 32 bytes; nil for any other count.
  @inlinable
  public init?(_ bytes: some Collection<UInt8>) {
    guard bytes.count == Self.byteCount else { return nil }
    var words: [4 of UInt64] = .init(repeating: 0)
    for (index, byte) in bytes.enumerated() {
      words[index / 8] = words[index / 8] << 8 | UInt64(byte)
    }
    self.words = words
  }

  /// The 32 bytes.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(Self.byteCount)
    for index in 0..<4 {
      for shift in stride(from: 56, through: 0, by: -8) {
        result.append(UInt8(truncatingIfNeeded: words[index] >> UInt64(shift)))
      }
    }
    return result
  }

  /// 64 lower-case hexadecimal digits.
  public var description: String { Hex.encode(bytes) }

  /// Whether all bytes are the same.
  public static func == (left: SHA256Digest, right: SHA256Digest) -> Bool {
    for index in 0..<4 where left.words[index] != right.words[index] { return false }
    return true
  }

  /// Feeds the first eight bytes: a digest is uniform already.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(words[0])
  }
}
