public import Base
public import Checksums

/// Who owns a bucket, an object or an upload.
public struct S3Owner: Hashable, Sendable {
  /// The canonical id.
  public var id: String
  /// The name for people.
  public var displayName: String

  /// Makes an owner.
  public init(id: String, displayName: String) {
    self.id = id
    self.displayName = displayName
  }
}

/// The algorithm and coverage of a checksum, without its value.
public struct ChecksumKind: Hashable, Sendable {
  /// What was computed.
  public var algorithm: ChecksumAlgorithm
  /// What it covers.
  public var type: ChecksumType

  /// Makes a kind.
  public init(algorithm: ChecksumAlgorithm, type: ChecksumType) {
    self.algorithm = algorithm
    self.type = type
  }
}

/// A bucket as ListBuckets shows it.
public struct BucketRow: Hashable, Sendable {
  /// The name.
  public var name: String
  /// When it was made.
  public var created: Timestamp
  /// Where it is.
  public var region: String

  /// Makes a row.
  public init(name: String, created: Timestamp, region: String) {
    self.name = name
    self.created = created
    self.region = region
  }
}

/// An object as a list shows it.
public struct ObjectRow: Hashable, Sendable {
  /// The key.
  public var key: [UInt8]
  /// When it became current.
  public var lastModified: Timestamp
  /// The tag without quotes.
  public var etag: String
  /// Bytes.
  public var size: Int
  /// The storage class.
  public var storageClass: String
  /// The owner, where it is to be shown.
  public var owner: S3Owner?
  /// The checksum it has.
  public var checksum: ChecksumKind?

  /// Makes a row.
  public init(
    key: [UInt8], lastModified: Timestamp, etag: String, size: Int,
    storageClass: String = "STANDARD", owner: S3Owner? = nil, checksum: ChecksumKind? = nil
  ) {
    self.key = key
    self.lastModified = lastModified
    self.etag = etag
    self.size = size
    self.storageClass = storageClass
    self.owner = owner
    self.checksum = checksum
  }
}

/// A part as ListParts and GetObjectAttributes show it.
public struct PartRow: Hashable, Sendable {
  /// 1 to 10,000.
  public var number: Int
  /// When it was uploaded.
  public var lastModified: Timestamp
  /// The tag without quotes.
  public var etag: String
  /// Bytes.
  public var size: Int
  /// Its checksum.
  public var checksum: Checksum?

  /// Makes a row.
  public init(
    number: Int, lastModified: Timestamp, etag: String, size: Int, checksum: Checksum? = nil
  ) {
    self.number = number
    self.lastModified = lastModified
    self.etag = etag
    self.size = size
    self.checksum = checksum
  }
}

/// An upload as ListMultipartUploads shows it.
public struct UploadRow: Hashable, Sendable {
  /// The key.
  public var key: [UInt8]
  /// The upload id.
  public var uploadID: String
  /// When it began.
  public var initiated: Timestamp
  /// The storage class of the object it will be.
  public var storageClass: String
  /// Who owns the object it will be.
  public var owner: S3Owner
  /// Who began it.
  public var initiator: S3Owner
  /// The checksum the object will have.
  public var checksum: ChecksumKind?

  /// Makes a row.
  public init(
    key: [UInt8], uploadID: String, initiated: Timestamp, storageClass: String = "STANDARD",
    owner: S3Owner, initiator: S3Owner, checksum: ChecksumKind? = nil
  ) {
    self.key = key
    self.uploadID = uploadID
    self.initiated = initiated
    self.storageClass = storageClass
    self.owner = owner
    self.initiator = initiator
    self.checksum = checksum
  }
}
