import Base
import Crypto

extension ExtentDescriptor {
  /// The version that this code writes and the only one it reads.
  static let formatVersion: UInt8 = 1
  /// What the length of an encoded descriptor is a multiple of, so that it hides that of a name.
  static let paddingUnit = 64

  /// The longest encoded descriptor in bytes, padding included.
  public static let maximumEncodedByteCount = 32 << 10
  /// The longest sealed descriptor in bytes.
  public static let maximumSealedByteCount = maximumEncodedByteCount + AESGCM.tagByteCount

  /// The numbers of the fields. A number is never used again for another field.
  enum Tag: Int {
    case end = 0
    case kind = 1
    case bucketID = 2
    case bucketName = 3
    case key = 4
    case versionID = 5
    case uploadID = 6
    case partNumber = 7
    case tenantID = 8
    case ownerID = 9
    case sequence = 10
    case lastModified = 11
    case byteCount = 12
    case etag = 13
    case storageClass = 14
    case header = 15
    case userMetadata = 16
    case checksum = 17
    case plaintextSHA256 = 18
    case transform = 19
  }

  /// The longest values in bytes, and the most entries of a list.
  enum Limit {
    static let bucketName = 255
    static let key = 4096
    static let identifier = 256
    static let etag = 256
    static let storageClass = 64
    static let fieldName = 1024
    static let fieldValue = 16 << 10
    static let fields = 512
    static let checksums = 16
    static let checksumValue = 64
  }

  static let zstandardTransform = 1
}
