/// A valid bucket name: 3 to 63 lower-case letters, digits, dots and hyphens by S3's rules.
public struct BucketName: Hashable, Sendable, CustomStringConvertible {
  /// The name.
  public let text: String

  /// Takes a name; throws `InvalidBucketName`.
  public init(_ text: String) throws(S3Error) {
    guard Self.isValid(text) else {
      throw S3Error(
        .invalidBucketName, details: [.init("BucketName", String(text.prefix(255)))])
    }
    self.text = text
  }

  /// The name.
  public var description: String { text }

  /// Whether a text is a valid name.
  public static func isValid(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    guard (3...63).contains(bytes.count), bytes.allSatisfy(isAllowed),
      let first = bytes.first, isAlphanumeric(first), let last = bytes.last, isAlphanumeric(last)
    else { return false }
    var previous: UInt8 = 0
    for byte in bytes {
      if byte == UInt8(ascii: ".") && previous == byte { return false }
      previous = byte
    }
    if reservedPrefixes.contains(where: { text.hasPrefix($0) }) { return false }
    if reservedSuffixes.contains(where: { text.hasSuffix($0) }) { return false }
    return !looksLikeAddress(bytes)
  }

  private static let reservedPrefixes = ["xn--", "sthree-", "amzn-s3-demo-"]
  private static let reservedSuffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]

  private static func isAllowed(_ byte: UInt8) -> Bool {
    isAlphanumeric(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x61...0x7a).contains(byte) || (0x30...0x39).contains(byte)
  }

  /// Whether it has the form of an IPv4 address.
  private static func looksLikeAddress(_ bytes: [UInt8]) -> Bool {
    let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        (1...3).contains(part.count) && part.allSatisfy { (0x30...0x39).contains($0) }
      }
  }
}
