public import Base

/// What an extent is a part of: enough to find its owner again from chunks alone.
///
/// It is kept sealed in every chunk of the extent and beside inline data in metadata.
public struct ExtentDescriptor: Hashable, Sendable {
  /// What owns the extent. Raw values are part of format 1.
  public enum Kind: Int, Hashable, Sendable, CaseIterable {
    /// An S3 object that came in one piece.
    case object = 1
    /// One part of a multipart upload.
    case part = 2
    /// A file of the Files API.
    case file = 3
    /// A part of a snapshot of the metadata.
    case snapshot = 4
    /// A piece of the metadata's change log.
    case changeLog = 5
  }

  /// One header or one entry of user metadata.
  public struct Field: Hashable, Sendable {
    /// Its name, without `x-amz-meta-`.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a field.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// A checksum of the plaintext.
  public struct Checksum: Hashable, Sendable {
    /// The number of its algorithm (`ChecksumAlgorithm.rawValue`).
    public var algorithm: UInt8
    /// Parts that a composite one covers; 0 for one of all bytes.
    public var partCount: Int
    /// The value.
    public var value: [UInt8]

    /// Makes a checksum. Precondition: `partCount` is not negative.
    public init(algorithm: UInt8, partCount: Int = 0, value: [UInt8]) {
      precondition(partCount >= 0, "a number of parts is not negative")
      self.algorithm = algorithm
      self.partCount = partCount
      self.value = value
    }
  }

  /// What was done to the bytes before they were encrypted.
  public enum Transform: Hashable, Sendable {
    /// Nothing.
    case none
    /// Compressed as one Zstandard frame; so many bytes before.
    case zstandard(originalByteCount: Int)
  }

  /// What owns the extent.
  public var kind: Kind
  /// The row of the bucket, not negative.
  public var bucketID: Int
  /// The name of the bucket.
  public var bucketName: String
  /// The key of the object, as bytes.
  public var key: [UInt8]
  /// The version id that clients see; nil where there is none yet.
  public var versionID: String?
  /// The multipart upload of a part.
  public var uploadID: String?
  /// The number of a part.
  public var partNumber: Int?
  /// The row of the tenant, not negative.
  public var tenantID: Int
  /// The row of the owning user, not negative.
  public var ownerID: Int
  /// What orders the versions of a key, not negative.
  public var sequence: Int
  /// When it was last modified.
  public var lastModified: Timestamp
  /// Bytes that a client reads, not negative.
  public var byteCount: Int
  /// The entity tag without quotes; empty where there is none yet.
  public var etag = ""
  /// The storage class; empty for the standard one.
  public var storageClass = ""
  /// Headers that go back to clients, such as `content-type`.
  public var headers: [Field] = []
  /// The user's own metadata.
  public var userMetadata: [Field] = []
  /// Checksums that clients see.
  public var checksums: [Checksum] = []
  /// The SHA-256 of what a client reads, where it was computed.
  public var plaintextSHA256: SHA256Digest?
  /// What was done to the bytes before they were encrypted.
  public var transform: Transform = .none

  /// Makes a descriptor with what every extent has; the rest is set afterwards.
  public init(
    kind: Kind, bucketID: Int, bucketName: String, key: [UInt8], tenantID: Int, ownerID: Int,
    sequence: Int, lastModified: Timestamp, byteCount: Int
  ) {
    self.kind = kind
    self.bucketID = bucketID
    self.bucketName = bucketName
    self.key = key
    self.tenantID = tenantID
    self.ownerID = ownerID
    self.sequence = sequence
    self.lastModified = lastModified
    self.byteCount = byteCount
  }
}
