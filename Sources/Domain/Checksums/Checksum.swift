import Base

/// A checksum in the form that clients send and get.
public struct Checksum: Hashable, Sendable, CustomStringConvertible {
  /// The most parts of an object.
  public static let maximumPartCount = 10_000

  /// What was computed.
  public let algorithm: ChecksumAlgorithm
  /// The value, big-endian for the cyclic ones: always `algorithm.byteCount` bytes.
  public let bytes: [UInt8]
  /// The number of parts whose checksums a composite one covers; nil for one of all bytes.
  public let partCount: Int?

  /// What the value covers.
  public var type: ChecksumType { partCount == nil ? .fullObject : .composite }

  /// Takes a value; nil when its length is not the algorithm's or the part count is not in
  /// 1...10000.
  public init?(algorithm: ChecksumAlgorithm, bytes: [UInt8], partCount: Int? = nil) {
    guard bytes.count == algorithm.byteCount else { return nil }
    if let partCount, !(1...Self.maximumPartCount).contains(partCount) { return nil }
    self.algorithm = algorithm
    self.bytes = bytes
    self.partCount = partCount
  }

  /// Makes a value of known length.
  init(_ algorithm: ChecksumAlgorithm, _ bytes: [UInt8], partCount: Int? = nil) {
    self.algorithm = algorithm
    self.bytes = bytes
    self.partCount = partCount
  }

  /// Parses Base64, or Base64 with `-` and the number of parts behind it for a composite value.
  ///
  /// Nil for anything that `description` would not print.
  public init?(algorithm: ChecksumAlgorithm, text: String) {
    // A longer text is not split or decoded at all: it comes from outside.
    guard text.utf8.count <= algorithm.base64Count + 6 else { return nil }
    let fields = text.split(separator: "-", omittingEmptySubsequences: false)
    guard let value = fields.first, fields.count <= 2,
      let bytes = Base64.decode(String(value))
    else { return nil }
    var partCount: Int?
    if fields.count == 2 {
      guard let number = Int(fields[1]), "\(number)" == fields[1] else { return nil }
      partCount = number
    }
    self.init(algorithm: algorithm, bytes: bytes, partCount: partCount)
  }

  /// The value in Base64, without the number of parts.
  public var base64: String { Base64.encode(bytes) }

  /// The form of headers and XML: Base64, with `-` and the number of parts for a composite value.
  public var description: String {
    guard let partCount else { return base64 }
    return "\(base64)-\(partCount)"
  }
}
