public import Base

/// A multipart upload that was begun.
public struct MultipartUpload: Hashable, Sendable {
  /// The upload id.
  public var id: OpaqueID
  /// The bucket.
  public var bucket: BucketID
  /// The key.
  public var key: [UInt8]
  /// When it began.
  public var initiated: Timestamp
  /// The user that began it.
  public var owner: UserID
  /// What the object will carry.
  public var attributes: ObjectAttributes
  /// The storage class.
  public var storageClass: String
  /// The checksum's algorithm as in `StoredChecksum`; 0 when none was asked for.
  public var checksumAlgorithm: UInt8
  /// Whether the object's checksum will be composite.
  public var checksumIsComposite: Bool

  /// Makes an upload of its fields.
  public init(
    id: OpaqueID, bucket: BucketID, key: [UInt8], initiated: Timestamp, owner: UserID,
    attributes: ObjectAttributes, storageClass: String, checksumAlgorithm: UInt8,
    checksumIsComposite: Bool
  ) {
    self.id = id
    self.bucket = bucket
    self.key = key
    self.initiated = initiated
    self.owner = owner
    self.attributes = attributes
    self.storageClass = storageClass
    self.checksumAlgorithm = checksumAlgorithm
    self.checksumIsComposite = checksumIsComposite
  }
}

/// One uploaded part.
public struct UploadedPart: Hashable, Sendable {
  /// 1 to 10,000.
  public var number: Int
  /// Plaintext bytes.
  public var size: Int64
  /// The ETag without quotes: the MD5 in hexadecimal.
  public var etag: String
  /// When it was uploaded.
  public var lastModified: Timestamp
  /// The checksum, when one was given or asked for.
  public var checksum: StoredChecksum?
  /// The extent that holds it.
  public var extent: ExtentID

  /// Makes a part of its fields.
  public init(
    number: Int, size: Int64, etag: String, lastModified: Timestamp, checksum: StoredChecksum?,
    extent: ExtentID
  ) {
    self.number = number
    self.size = size
    self.etag = etag
    self.lastModified = lastModified
    self.checksum = checksum
    self.extent = extent
  }
}

/// The end of a multipart upload, ready to be committed.
public struct UploadCompletion: Sendable {
  /// The upload.
  public var upload: OpaqueID
  /// The bucket.
  public var bucket: BucketID
  /// The key.
  public var key: [UInt8]
  /// The parts that make the object, ascending, as they were read before: the commit checks that
  /// each still has that extent.
  public var parts: [UploadedPart]
  /// The new row.
  public var version: OpaqueID
  /// The object's ETag without quotes.
  public var etag: String
  /// The object's checksum.
  public var checksum: StoredChecksum?
  /// What must hold.
  public var condition: WriteCondition

  /// Makes a completion of its fields.
  public init(
    upload: OpaqueID, bucket: BucketID, key: [UInt8], parts: [UploadedPart], version: OpaqueID,
    etag: String, checksum: StoredChecksum?, condition: WriteCondition
  ) {
    self.upload = upload
    self.bucket = bucket
    self.key = key
    self.parts = parts
    self.version = version
    self.etag = etag
    self.checksum = checksum
    self.condition = condition
  }
}
