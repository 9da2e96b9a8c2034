public import Base

/// What must hold for a write to happen (RFC 9110 §13.1 as S3 applies it to writes).
public enum WriteCondition: Hashable, Sendable {
  /// Nothing.
  case none
  /// `If-None-Match: *`: the key has no current object.
  case absent
  /// `If-Match`: the current object has this ETag (without quotes).
  case matches(etag: String)
  /// `If-Match: *`: the key has a current object.
  case exists
  /// The current version is this very one (internal compare and swap).
  case version(VersionNumber)
}

/// A new version of an object, ready to be committed.
public struct ObjectCommit: Sendable {
  /// Where the content is.
  public enum Content: Sendable {
    /// In this row.
    case inline(InlineData)
    /// In these extents, in order, made by this writer and named by nothing yet.
    case extents([Extent])
  }

  /// The bucket that was looked up before; the commit checks that it still exists.
  public var bucket: BucketID
  /// The key, 1 to 1024 bytes.
  public var key: [UInt8]
  /// The new row, and the version id's random part in case the bucket keeps versions.
  public var version: OpaqueID
  /// The content.
  public var content: Content
  /// Plaintext bytes of the object.
  public var size: Int64
  /// The ETag without quotes.
  public var etag: String
  /// Headers, user metadata and tags.
  public var attributes: ObjectAttributes
  /// The checksum.
  public var checksum: StoredChecksum?
  /// The storage class.
  public var storageClass: String
  /// The user that writes.
  public var owner: UserID
  /// What must hold.
  public var condition: WriteCondition

  /// Makes a commit of its fields.
  public init(
    bucket: BucketID, key: [UInt8], version: OpaqueID, content: Content, size: Int64,
    etag: String, attributes: ObjectAttributes, checksum: StoredChecksum?, storageClass: String,
    owner: UserID, condition: WriteCondition
  ) {
    self.bucket = bucket
    self.key = key
    self.version = version
    self.content = content
    self.size = size
    self.etag = etag
    self.attributes = attributes
    self.checksum = checksum
    self.storageClass = storageClass
    self.owner = owner
    self.condition = condition
  }
}

/// What a committed write came to.
public struct CommittedVersion: Hashable, Sendable {
  /// The row.
  public var number: VersionNumber
  /// The version id; nil in a bucket that never kept versions.
  public var versionID: String?
  /// When it became current: never before the version that it replaced.
  public var lastModified: Timestamp

  /// Makes a result of its fields.
  public init(number: VersionNumber, versionID: String?, lastModified: Timestamp) {
    self.number = number
    self.versionID = versionID
    self.lastModified = lastModified
  }
}

/// What a delete came to.
public struct DeletedVersion: Hashable, Sendable {
  /// Whether there was something to delete.
  public var existed: Bool
  /// The version that was deleted or the marker that was made; nil in an unversioned bucket.
  public var versionID: String?
  /// Whether a delete marker was made or deleted.
  public var isDeleteMarker: Bool

  /// Makes a result of its fields.
  public init(existed: Bool, versionID: String? = nil, isDeleteMarker: Bool = false) {
    self.existed = existed
    self.versionID = versionID
    self.isDeleteMarker = isDeleteMarker
  }
}

/// Why metadata refused a request, or could not answer.
public enum MetadataError: Error, Hashable, Sendable {
  /// No such bucket.
  case noSuchBucket
  /// The name is taken; whether by the same owner.
  case bucketExists(ownedByCaller: Bool)
  /// The bucket holds versions, uploads or parts.
  case bucketNotEmpty
  /// `If-Match` on a key without a current object.
  case noSuchKey
  /// No such version of that key.
  case noSuchVersion
  /// A condition does not hold.
  case preconditionFailed
  /// No such upload: never made, completed or aborted.
  case noSuchUpload
  /// A part that Complete names is not there or has another ETag; its number.
  case invalidPart(Int)
  /// No such user, key or other row.
  case notFound(String)
  /// A row of that name is there already.
  case alreadyExists(String)
  /// This process lost its lease: it must stop writing.
  case fenced
  /// The disk of the metadata is full.
  case full
  /// The database cannot be reached or failed; nothing was changed.
  case unavailable(String)
  /// Whether the transaction was committed could not be found out yet.
  case unknownOutcome
}
