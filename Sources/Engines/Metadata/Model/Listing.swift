public import Base

/// Which keys of a bucket a page shows.
public struct ListRequest: Hashable, Sendable {
  /// The bucket.
  public var bucket: BucketID
  /// Only keys that begin so.
  public var prefix: [UInt8]
  /// Keys that share what comes up to the first delimiter behind the prefix become one row.
  public var delimiter: [UInt8]
  /// Only rows behind this key or common prefix; empty from the start.
  public var after: [UInt8]
  /// Rows at most, keys and common prefixes together.
  public var limit: Int

  /// Makes a request of its fields.
  public init(
    bucket: BucketID, prefix: [UInt8] = [], delimiter: [UInt8] = [], after: [UInt8] = [],
    limit: Int
  ) {
    self.bucket = bucket
    self.prefix = prefix
    self.delimiter = delimiter
    self.after = after
    self.limit = limit
  }
}

/// A current object as a list shows it.
public struct ListedObject: Hashable, Sendable {
  /// The key.
  public var key: [UInt8]
  /// When it became current.
  public var lastModified: Timestamp
  /// The ETag without quotes.
  public var etag: String
  /// Plaintext bytes.
  public var size: Int64
  /// The storage class.
  public var storageClass: String
  /// The owner.
  public var owner: UserID
  /// The checksum's algorithm as in `StoredChecksum`; 0 for none.
  public var checksumAlgorithm: UInt8
  /// Whether that checksum is composite.
  public var checksumIsComposite: Bool

  /// Makes a row of its fields.
  public init(
    key: [UInt8], lastModified: Timestamp, etag: String, size: Int64, storageClass: String,
    owner: UserID, checksumAlgorithm: UInt8, checksumIsComposite: Bool
  ) {
    self.key = key
    self.lastModified = lastModified
    self.etag = etag
    self.size = size
    self.storageClass = storageClass
    self.owner = owner
    self.checksumAlgorithm = checksumAlgorithm
    self.checksumIsComposite = checksumIsComposite
  }
}

/// One page of a list, in the order of the keys' bytes.
public struct ListPage: Hashable, Sendable {
  /// A key or a common prefix.
  public enum Row: Hashable, Sendable {
    /// An object.
    case object(ListedObject)
    /// A common prefix, its delimiter included.
    case commonPrefix([UInt8])
  }

  /// The rows.
  public var rows: [Row]
  /// What to pass as `after` for the next page; nil when this is the last.
  public var next: [UInt8]?

  /// Makes a page of its fields.
  public init(rows: [Row], next: [UInt8]?) {
    self.rows = rows
    self.next = next
  }
}

/// Which uploads a page shows (S3 `ListMultipartUploads`).
public struct UploadListRequest: Hashable, Sendable {
  /// The bucket.
  public var bucket: BucketID
  /// Only keys that begin so.
  public var prefix: [UInt8]
  /// As for keys.
  public var delimiter: [UInt8]
  /// Only uploads behind this key, or of this key behind `afterUpload`.
  public var afterKey: [UInt8]
  /// Together with `afterKey`: only uploads behind it.
  public var afterUpload: OpaqueID?
  /// Rows at most.
  public var limit: Int

  /// Makes a request of its fields.
  public init(
    bucket: BucketID, prefix: [UInt8] = [], delimiter: [UInt8] = [], afterKey: [UInt8] = [],
    afterUpload: OpaqueID? = nil, limit: Int
  ) {
    self.bucket = bucket
    self.prefix = prefix
    self.delimiter = delimiter
    self.afterKey = afterKey
    self.afterUpload = afterUpload
    self.limit = limit
  }
}

/// One page of uploads, by key and then by when they began.
public struct UploadPage: Hashable, Sendable {
  /// The uploads.
  public var uploads: [MultipartUpload]
  /// Common prefixes, their delimiter included.
  public var commonPrefixes: [[UInt8]]
  /// Where the next page begins; nil when this is the last.
  public var nextKey: [UInt8]?
  /// The upload that belongs to `nextKey`.
  public var nextUpload: OpaqueID?

  /// Makes a page of its fields.
  public init(
    uploads: [MultipartUpload], commonPrefixes: [[UInt8]], nextKey: [UInt8]?,
    nextUpload: OpaqueID?
  ) {
    self.uploads = uploads
    self.commonPrefixes = commonPrefixes
    self.nextKey = nextKey
    self.nextUpload = nextUpload
  }
}
