/// The checksum algorithms of the S3 protocol.
///
/// The raw values are written into sealed descriptors and never change their meaning.
public enum ChecksumAlgorithm: UInt8, Hashable, Sendable, CaseIterable {
  /// CRC-32 as in zlib.
  case crc32 = 1
  /// CRC-32C (Castagnoli).
  case crc32c = 2
  /// CRC-64/NVME, what SDKs add by default.
  case crc64nvme = 3
  /// SHA-1.
  case sha1 = 4
  /// SHA-256.
  case sha256 = 5

  /// The name in `x-amz-checksum-algorithm` and in XML, such as `CRC64NVME`.
  public var name: String {
    switch self {
    case .crc32: "CRC32"
    case .crc32c: "CRC32C"
    case .crc64nvme: "CRC64NVME"
    case .sha1: "SHA1"
    case .sha256: "SHA256"
    }
  }

  /// The header and trailer that carry a value, such as `x-amz-checksum-crc64nvme`.
  public var headerName: String {
    switch self {
    case .crc32: "x-amz-checksum-crc32"
    case .crc32c: "x-amz-checksum-crc32c"
    case .crc64nvme: "x-amz-checksum-crc64nvme"
    case .sha1: "x-amz-checksum-sha1"
    case .sha256: "x-amz-checksum-sha256"
    }
  }

  /// The XML element that carries a value, such as `ChecksumCRC64NVME`.
  public var elementName: String { "Checksum" + name }

  /// Bytes of a value.
  public var byteCount: Int {
    switch self {
    case .crc32, .crc32c: 4
    case .crc64nvme: 8
    case .sha1: 20
    case .sha256: 32
    }
  }

  /// Characters of a value in Base64, padding included.
  public var base64Count: Int { (byteCount + 2) / 3 * 4 }

  /// The types that a multipart upload may ask for, the default first.
  ///
  /// A single PUT always has the checksum of the full object.
  public var multipartTypes: [ChecksumType] {
    switch self {
    case .crc32, .crc32c: [.composite, .fullObject]
    case .crc64nvme: [.fullObject]
    case .sha1, .sha256: [.composite]
    }
  }

  /// The type of a multipart upload that asks for none.
  public var defaultMultipartType: ChecksumType {
    self == .crc64nvme ? .fullObject : .composite
  }

  /// Takes the name of an algorithm in any case; nil for an unknown one.
  public init?(name: String) {
    let upper = name.uppercased()
    guard let found = Self.allCases.first(where: { $0.name == upper }) else { return nil }
    self = found
  }

  /// Takes the name of a checksum header in any case; nil for any other header.
  public init?(headerName: String) {
    let lower = headerName.lowercased()
    guard let found = Self.allCases.first(where: { $0.headerName == lower }) else { return nil }
    self = found
  }
}

/// What the checksum of a multipart object covers.
public enum ChecksumType: String, Hashable, Sendable, CaseIterable {
  /// All bytes of the object in their order.
  case fullObject = "FULL_OBJECT"
  /// The checksums of its parts.
  case composite = "COMPOSITE"
}
