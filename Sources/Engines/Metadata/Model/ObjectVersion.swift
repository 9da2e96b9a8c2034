public import Base

/// What a client gave with an object and gets back with it.
public struct ObjectAttributes: Hashable, Sendable {
  /// A header or a user metadata entry.
  public struct Field: Hashable, Sendable {
    /// The name in lower case, without `x-amz-meta-`.
    public var name: String
    /// The value as it was sent.
    public var value: String

    /// Makes a field.
    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// Content headers: `content-type`, `cache-control`, `content-disposition`, `content-encoding`,
  /// `content-language`, `expires`, `x-amz-website-redirect-location`.
  public var headers: [Field]
  /// User metadata.
  public var metadata: [Field]
  /// Tags.
  public var tags: [Field]

  /// Makes attributes.
  public init(headers: [Field] = [], metadata: [Field] = [], tags: [Field] = []) {
    self.headers = headers
    self.metadata = metadata
    self.tags = tags
  }
}

/// The S3 checksum of an object or part, as metadata keeps it.
public struct StoredChecksum: Hashable, Sendable {
  /// The algorithm: 1 CRC32, 2 CRC32C, 3 CRC64NVME, 4 SHA1, 5 SHA256. Frozen.
  public var algorithm: UInt8
  /// Whether it is the checksum of the parts' checksums (`COMPOSITE`).
  public var isComposite: Bool
  /// The raw bytes.
  public var value: [UInt8]

  /// Makes a checksum of its fields.
  public init(algorithm: UInt8, isComposite: Bool, value: [UInt8]) {
    self.algorithm = algorithm
    self.isComposite = isComposite
    self.value = value
  }
}

/// One version of an object, or a delete marker.
public struct ObjectVersion: Hashable, Sendable {
  /// The row.
  public var number: VersionNumber
  /// The random part of the version id; nil for the `null` version.
  public var nonce: UInt64?
  /// Whether it is a delete marker.
  public var isDeleteMarker: Bool
  /// The bucket.
  public var bucket: BucketID
  /// The key.
  public var key: [UInt8]
  /// Orders the versions of a key: later is larger.
  public var sequence: Int64
  /// Plaintext bytes.
  public var size: Int64
  /// The ETag without quotes.
  public var etag: String
  /// When it became current.
  public var lastModified: Timestamp
  /// Headers, user metadata and tags.
  public var attributes: ObjectAttributes
  /// The checksum that the client gave or that S3 adds.
  public var checksum: StoredChecksum?
  /// The storage class, such as `STANDARD`.
  public var storageClass: String
  /// The user that wrote it.
  public var owner: UserID
  /// How many parts a multipart object has; 0 for another.
  public var partCount: Int
  /// How many extents hold it; 0 when it is inline or a marker.
  public var extentCount: Int
  /// The sealed content of an inline object, where it was asked for.
  public var inline: InlineData?

  /// Makes a version of its fields.
  public init(
    number: VersionNumber, nonce: UInt64?, isDeleteMarker: Bool, bucket: BucketID, key: [UInt8],
    sequence: Int64, size: Int64, etag: String, lastModified: Timestamp,
    attributes: ObjectAttributes, checksum: StoredChecksum?, storageClass: String, owner: UserID,
    partCount: Int, extentCount: Int, inline: InlineData?
  ) {
    self.number = number
    self.nonce = nonce
    self.isDeleteMarker = isDeleteMarker
    self.bucket = bucket
    self.key = key
    self.sequence = sequence
    self.size = size
    self.etag = etag
    self.lastModified = lastModified
    self.attributes = attributes
    self.checksum = checksum
    self.storageClass = storageClass
    self.owner = owner
    self.partCount = partCount
    self.extentCount = extentCount
    self.inline = inline
  }

  /// The id that clients see: `null` for a version of an unversioned bucket.
  public var versionID: String {
    guard let nonce else { return "null" }
    return OpaqueID(number: number, nonce: nonce).text
  }
}

/// The content of a small object, sealed like an extent of one segment.
public struct InlineData: Hashable, Sendable {
  /// The extent id that it was sealed under.
  public var extent: ExtentID
  /// The extent key, wrapped.
  public var wrappedKey: [UInt8]
  /// The transform before sealing: 0 none, 1 zstd.
  public var transform: UInt8
  /// Ciphertext and tag.
  public var sealed: [UInt8]

  /// Makes inline data of its fields.
  public init(extent: ExtentID, wrappedKey: [UInt8], transform: UInt8, sealed: [UInt8]) {
    self.extent = extent
    self.wrappedKey = wrappedKey
    self.transform = transform
    self.sealed = sealed
  }
}
